"""What a support bundle knows to be secret."""

import json
from base64 import b64encode

from headrace_local.support.redact import GONE, Redactor, words_in


def test_secrets_are_lines_and_words_of_a_file_or_all_texts_in_its_json() -> None:
    assert words_in("k1 c2VjcmV0\n") == {"k1 c2VjcmV0", "k1", "c2VjcmV0"}
    logins = '{"auths": {"hub.example": {"auth": "dXNlcjp3b3Jk", "n": 1}}, "x": ["list-word"]}'
    assert words_in(logins) == {"dXNlcjp3b3Jk", "user:word", "word", "list-word"}
    said = Redactor(words_in(logins)).clean("hub.example was told dXNlcjp3b3Jk")
    assert said == f"hub.example was told {GONE}"


def test_a_login_in_base64_is_secret_in_each_of_its_forms() -> None:
    auth = b64encode(b"hydro:gauge:word").decode()
    known = words_in(json.dumps({"auths": {"hub.example": {"auth": auth}}, "x": ["eDo=", "n:n"]}))
    assert known == {auth, "hydro:gauge:word", "gauge:word", "eDo=", "x:", "", "n:n"}
    said = Redactor(known).clean(f"{auth}, hydro:gauge:word, gauge:word for hydro at hub.example")
    assert said == f"{GONE}, {GONE}, {GONE} for hydro at hub.example"
