"""Users and their tokens, for tests that need somebody to ask as."""

from headrace_adapters.redis.users import UserStore, new_token
from headrace_model.people import ALL_SCOPES, Scope, UserRole


async def token_of(
    users: UserStore,
    name: str,
    role: UserRole = UserRole.ADMIN,
    *,
    scopes: frozenset[Scope] = ALL_SCOPES,
    groups: tuple[str, ...] = (),
    expires_ms: int | None = None,
) -> str:
    """Make a user, where there is none of the name, and a token that stands for them."""
    for group in groups:
        await users.create_group(group)
    await users.create_user(name, role, groups=groups)
    token = new_token()
    await users.keep_token(token, name, scopes=scopes, expires_ms=expires_ms)
    return token
