"""How an upload is read: its report says it, options of the form choose, and what is ambiguous is refused."""

from __future__ import annotations

ROWS = "".join(f"{i},a title {i},it was fine {i},{'np'[i % 2]}\n" for i in range(60))
TABLE = f"id,title,review,label\n{ROWS}".encode()


def upload(client, **options: str):
    return client.post("/v1/datasets", files={"file": ("reviews.csv", TABLE)}, data=options)


def test_an_ambiguous_upload_is_refused_with_the_choices(client):
    answer = upload(client)
    assert (answer.status_code, answer.json()["code"]) == (422, "dataset_ambiguous")
    assert "--text review" in answer.json()["detail"]


def test_a_choice_makes_it_readable_and_is_part_of_its_id(client):
    one, other = upload(client, text="review"), upload(client, text="title")
    assert one.status_code == other.status_code == 201
    assert one.json()["report"]["read_as"].startswith("texts from column 'review' (not read: id, title)")
    assert one.json()["id"] != other.json()["id"]


def test_two_choices_of_one_input_are_a_malformed_request(client):
    answer = upload(client, text="review", image="title")
    assert (answer.status_code, answer.json()["code"]) == (400, "request_malformed")


def test_the_document_names_every_option(client):
    forms = client.get("/openapi.json").json()["paths"]["/v1/datasets"]["post"]["requestBody"]["content"]
    fields = forms["multipart/form-data"]["schema"]["properties"]
    assert {"task", "label", "input", "text", "image", "split"} <= fields.keys()


def test_a_field_that_the_form_does_not_have_is_refused_by_name(client):
    for path, known in (("/v1/datasets", "text"), ("/v1/recommendations", "text, options")):
        answer = client.post(
            path, files={"file": ("reviews.csv", TABLE)}, data={"text": "review", "max_examples": "200"}
        )
        assert (answer.status_code, answer.json()["code"]) == (400, "request_malformed")
        assert answer.json()["detail"].startswith("the form has no field 'max_examples'; it has file, image, input")
        assert answer.json()["detail"].endswith(known)
    assert client.get("/v1/datasets").json()["items"] == []
