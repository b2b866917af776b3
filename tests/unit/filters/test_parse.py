"""What is a filter, what it means as a tree, and what is said of everything else."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from allegro.filters.canonical import canonical
from allegro.filters.device import Device
from allegro.filters.fields import Field, Operator, operators
from allegro.filters.mistake import FilterError
from allegro.filters.parse import parse
from allegro.filters.syntax import DEEPEST, LONGEST
from allegro.filters.tree import EVERYTHING, NONE, And, Bpf, Compare, Mac, Network, Not, Or, Ports, Tree
from tests.harness.filter_texts import judge
from tests.harness.filter_trees import trees

A = Compare(Field.IP, Operator.EQUAL, Network(4, 0x0A000001, 32))
B = Compare(Field.VLAN, Operator.EQUAL, 7)
C = Compare(Field.PORT, Operator.EQUAL, 80)
DEVICE = Device(interfaces=("port1", "port2"), groups=("Firewall", "none"))


@pytest.mark.spec("F6")
@pytest.mark.parametrize("text", ["", " ", "\t\n "])
def test_nothing_matches_everything(text: str) -> None:
    assert parse(text) == EVERYTHING
    assert canonical(EVERYTHING) == ""


@pytest.mark.spec("F1")
@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("ip == 10.0.0.1", A),
        ("IP EQ 10.0.0.1", A),
        ("ip==10.0.0.1&&vlan==7", And((A, B))),
        ("ip == 10.0.0.1 AND vlan == 7 and port == 80", And((A, B, C))),
        ("(ip == 10.0.0.1 && vlan == 7) && port == 80", And((A, B, C))),
        ("ip == 10.0.0.1 || vlan == 7 or port == 80", Or((A, B, C))),
        ("ip == 10.0.0.1 or vlan == 7 and port == 80", Or((A, And((B, C))))),
        ("(ip == 10.0.0.1 or vlan == 7) and port == 80", And((Or((A, B)), C))),
        ("!(ip == 10.0.0.1 or vlan == 7)", Not(Or((A, B)))),
        ("not ip == 10.0.0.1 and vlan == 7", And((Not(A), B))),
        ("!ip == 10.0.0.1", Not(A)),
        ("not (not (ip == 10.0.0.1))", A),
        ("((ip == 10.0.0.1))", A),
        ("ip\n==\n10.0.0.1", A),
        ('bpf("tcp port 80")', Bpf("tcp port 80")),
        ('BPF ( "ether[0] == \\"x\\\\" )', Bpf('ether[0] == "x\\')),
        ('bpf("")', Bpf("")),
    ],
)
def test_how_conditions_are_joined(text: str, tree: Tree) -> None:
    assert parse(text) == tree


@pytest.mark.spec("F1")
@pytest.mark.parametrize(
    ("written", "operator"),
    [
        ("==", Operator.EQUAL),
        ("eq", Operator.EQUAL),
        ("!=", Operator.NOT_EQUAL),
        ("Ne", Operator.NOT_EQUAL),
        ("===", Operator.EXACTLY),
        ("<", Operator.LESS),
        ("<=", Operator.AT_MOST),
        (">", Operator.MORE),
        (">=", Operator.AT_LEAST),
    ],
)
def test_operators(written: str, operator: Operator) -> None:
    assert parse(f"length {written} 100") == Compare(Field.LENGTH, operator, 100)


@pytest.mark.spec("F2")
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("ip == 10.1.2.3/8", Network(4, 0x0A000000, 8)),
        ("srcIp == 10.0.0.0/255.0.0.0", Network(4, 0x0A000000, 8)),
        ('dstIp == "0.0.0.0/0"', Network(4, 0, 0)),
        ("ip == 2001:DB8::/32", Network(6, 0x20010DB8 << 96, 32)),
        ("ip == ::ffff:1.2.3.4", Network(6, 0xFFFF01020304, 128)),
        ("ip != none", NONE),
        ("mac == 00:1B:21:3a:4f:05", Mac(0x001B213A4F05)),
        ("srcMac == 00-1b-21-3a-4f-05", Mac(0x001B213A4F05)),
        ("dstMac == 001b.213a.4f05", Mac(0x001B213A4F05)),
        ("mac ~ 00:1b:21", Mac(0x001B21000000, 0xFFFFFF000000)),
        ("port == 0x50", 80),
        ("portrange == 80", Ports(((80, 80),))),
        (
            "portrange == 80,100-120,-10,65000-",
            Ports(((0, 10), (80, 80), (100, 120), (65000, 65535))),
        ),
        ('portrange == "5 , 4-3000, 3001-3005"', Ports(((4, 3005),))),
        ("vlan == none", NONE),
        ("outerVlan == 4095", 4095),
        ("l4Protocol == TCP", 6),
        ("l4Protocol == 89", 89),
        ("dscp == ef", 46),
        ("mpls == 1048575", 1048575),
        ("vxlan == 16777215", 16777215),
        ("interface == port1", "port1"),
        ('interface == "Port 1"', "Port 1"),
        ("group == none", NONE),
        ('group == "none"', "none"),
        ('group ~ "a \\"b\\" \\\\c"', 'a "b" \\c'),
    ],
)
def test_values(text: str, value: object) -> None:
    tree = parse(text)
    assert isinstance(tree, Compare)
    assert tree.value == value


@pytest.mark.spec("F5")
@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("ip = 10.0.0.1", "=", "Do you mean ==?"),
        ("ip", "", "Column 3: ==, != or === is expected after ip, but the filter ends"),
        ("vlan ==", "", "a number from 0 to 4095 (or none) is expected after vlan =="),
        ("vlan == 5000", "5000", "a number from 0 to 4095"),
        ("vlan < none", "none", "a number from 0 to 4095 is expected"),
        ("ip == 10.0.0.256", "10.0.0.256", "an address or a subnet such as"),
        ("ip == fe80::1%eth0", "fe80::1%eth0", "no zones (%)."),
        ("ip < 10.0.0.1", "<", "==, != or === is expected"),
        ("vlam == 7", "vlam", "Do you mean vlan?"),
        ("7 == vlan", "7", "a condition such as ip == 192.0.2.1 is expected, not '7'"),
        ("ip.addr == 10.0.0.1", "ip.addr", "It is called ip here."),
        ("tcp and vlan == 7", "tcp", "Do you mean l4Protocol == tcp?"),
        ("colour == 7", "colour", "The fields are ip, srcIp, dstIp"),
        ("l4Protocol == tpc", "tpc", "Do you mean tcp?"),
        ("port == 80,443", "80,443", "there is portrange"),
        ("portrange == 90-80", "90-80", "90-80 ends before it begins"),
        ("portrange == 70000-", "70000-", "from 0 to 65535."),
        ("portrange == 80,", "80,", "80,100-120"),
        ("portrange == -", "-", "80,100-120"),
        ("mac == 00:1b:21", "00:1b:21", "use ~"),
        ("mac ~ 00:1b-21", "00:1b-21", "the first bytes of a MAC address"),
        ("ip == (10.0.0.1)", "(", "an address or a subnet"),
        ("(ip == 10.0.0.1", "", "')' is missing: '(' at column 1 is not closed"),
        ("ip == 10.0.0.1)", ")", "closes nothing"),
        ("()", ")", "a condition such as"),
        ("and vlan == 7", "and", "a condition such as"),
        ("vlan == 7 and", "", "a condition such as"),
        ("vlan == 7 & ip == 10.0.0.1", "&", "Do you mean &&?"),
        ("vlan == 7 ip == 10.0.0.1", "ip", "'and', 'or' or the end is expected, not 'ip'"),
        ("interface == my port", "port", "needs double quotes"),
        ('interface == "my port', '"', "not closed"),
        ('interface == ""', '""', "a name"),
        ("bpf(tcp port 80)", "tcp", "in double quotes"),
        ('bpf == "tcp"', "bpf", 'bpf("tcp port 80")'),
        ('bpf("tcp"', "", "')' is missing"),
        ("interface == prot1", "prot1", "Do you mean port1?"),
        ("interface ~ x", "x", "There are port1 and port2."),
        ('group == "firewal"', '"firewal"', "Do you mean Firewall?"),
        ("group === firewall", "firewall", "Do you mean Firewall?"),
        ("\0", "\0", "a condition such as"),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, place: str, says: str) -> None:
    with pytest.raises(FilterError) as told:
        parse(text, DEVICE)
    error = told.value
    assert text[error.column - 1 :][: error.length] == place
    assert place or error.column == len(text) + 1
    assert error.message.startswith(f"Column {error.column}: ")
    assert says in f"{error.message} {error.remedy}"
    assert error.status == 422
    assert error.message.endswith(".")


@pytest.mark.spec("F5")
def test_names_are_those_of_the_device() -> None:
    for text in ("interface == PORT1", "interface ~ ort", "interface === port2", "group != firewall"):
        parse(text, DEVICE)
    with pytest.raises(FilterError, match="has no link groups"):
        parse("group == firewall", Device(groups=()))
    parse("group == none", Device(groups=()))


@pytest.mark.spec("F5")
def test_an_expression_that_libpcap_refuses_is_told_with_its_reason() -> None:
    def check(expression: str) -> None:
        if expression != "tcp":
            raise ValueError("syntax error")

    device = Device(check_bpf=check)
    assert parse('bpf("tcp")', device) == Bpf("tcp")
    with pytest.raises(FilterError, match=r"Column 23: .*: syntax error") as told:
        parse('vlan == 7 and not bpf("tcpp")', device)
    assert told.value.length == len('"tcpp"')


@pytest.mark.spec("F1", "F7")
@given(trees())
def test_the_canonical_text_is_the_same_filter(tree: Tree) -> None:
    assert parse(canonical(tree)) == tree
    assert canonical(parse(canonical(tree))) == canonical(tree)


WORDS = st.sampled_from(
    [
        *'()!=<>~&|"\\,-/.:',
        "and",
        "or",
        "not",
        "bpf(",
        "ip",
        "vlan",
        "group",
        "==",
        "10.0.0.1",
        "7",
        "none",
        " ",
    ]
)
TEXTS = st.one_of(st.text(), *(st.lists(WORDS, max_size=30).map(joint.join) for joint in ("", " ")))


@pytest.mark.spec("F5")
@given(TEXTS)
@example('ip == "')
@example("bpf(")
@example("\ud800")
def test_any_text_is_a_filter_or_a_mistake_with_a_place(text: str) -> None:
    judge(text)


@pytest.mark.long
@pytest.mark.timeout(1800)
@settings(max_examples=30_000)
@given(TEXTS)
def test_any_text_long(text: str) -> None:
    judge(text)


@pytest.mark.spec("F5")
def test_length_and_depth_have_limits() -> None:
    with pytest.raises(FilterError, match=f"longer than {LONGEST} characters"):
        parse(" " * (LONGEST + 1))
    deep = "(vlan == 1 or (vlan == 2 and " * (DEEPEST // 2 + 1)
    with pytest.raises(FilterError, match=f"more than {DEEPEST} times"):
        parse(deep + "vlan == 3" + "))" * (DEEPEST // 2 + 1))
    parens = 1500
    assert parse("(" * parens + "vlan == 7" + ")" * parens) == B
    assert parse("!" * parens + "vlan == 7") == B
    many = parse(" or ".join(["vlan == 7"] * 300))
    assert isinstance(many, Or)
    assert len(many.terms) == 300
    assert parse(canonical(many)) == many


def test_each_field_has_the_operators_it_is_said_to_have() -> None:
    for field in Field:
        value = {"ip": "1.1.1.1", "mac": "00:00:00:00:00:01"}.get(field.type.name[-2:].lower(), "7")
        value = "00:00:00:00:00:01" if field.type.name.lower().endswith("mac") else value
        for operator in Operator:
            text = f"{field.type.name} {operator.value} {value}"
            if operator in operators(field):
                parse(text)
            else:
                with pytest.raises(FilterError, match=f"has no {operator.value};"):
                    parse(text)
