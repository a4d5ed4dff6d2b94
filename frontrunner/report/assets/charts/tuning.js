// What the charts of a tuning share.

/** Points of the curve: of the result, or those so far. */
export const curveOf = (tuning) => tuning.output?.curve ?? tuning.curve ?? [];

export const metricsOf = (tuning) => tuning.output?.metrics ?? tuning.metrics ?? null;

export const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)}%`;
