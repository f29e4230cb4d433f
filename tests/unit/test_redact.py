"""What a support bundle knows to be secret."""

from headrace_local.support.redact import GONE, Redactor, words_in


def test_secrets_are_lines_and_words_of_a_file_or_all_texts_in_its_json() -> None:
    assert words_in("k1 c2VjcmV0\n") == {"k1 c2VjcmV0", "k1", "c2VjcmV0"}
    logins = '{"auths": {"hub.example": {"auth": "dXNlcjp3b3Jk", "n": 1}}, "x": ["list-word"]}'
    assert words_in(logins) == {"dXNlcjp3b3Jk", "list-word"}
    said = Redactor(words_in(logins)).clean("hub.example was told dXNlcjp3b3Jk")
    assert said == f"hub.example was told {GONE}"
