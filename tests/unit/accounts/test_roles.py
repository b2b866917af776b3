from allegro.accounts.roles import ROLES, includes, role_named


def test_roles_include_each_other() -> None:
    assert [[includes(role, needed) for needed in ROLES] for role in ROLES] == [
        [True, True, True],
        [False, True, True],
        [False, False, True],
    ]


def test_a_role_has_exactly_its_name() -> None:
    assert [role_named(text) for text in ("admin", "Admin", "", "admin ", "root")] == ["admin", *[None] * 4]
