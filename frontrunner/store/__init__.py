"""Where uploads, features, statistics and artifacts lie: a folder, or a bucket of an object store.

Everything goes through one interface, `Store`. What it keeps is either a blob, whose name is the digest of its bytes,
or a record, which carries its own checksum; both are checked whenever they are read.
"""

from frontrunner.store.blobs import UPLOADS, Blobs, BlobWriter, uploads
from frontrunner.store.folder import FolderStore
from frontrunner.store.opening import open_store
from frontrunner.store.protocol import Store, StoredObject, remove_all
from frontrunner.store.records import read_array, read_json, write_array, write_json

__all__ = [
    "UPLOADS",
    "BlobWriter",
    "Blobs",
    "FolderStore",
    "Store",
    "StoredObject",
    "open_store",
    "read_array",
    "read_json",
    "remove_all",
    "uploads",
    "write_array",
    "write_json",
]
