"""Plans are found exactly where going forward from the data by brute force finds a way."""

from collections.abc import Iterator
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from headrace_data.core.planning import MOST_STEPS, planned, sources_of
from headrace_data.recipes import guarded
from headrace_kinds.derivation import Derivable, Plan, Recipe, Step, plan_job
from headrace_model.dataset import Category
from headrace_model.domain import Domain
from headrace_model.ids import DatasetId
from headrace_model.requirement import Fulfilment, Miss, Requirement, Shape
from headrace_wire.jobfile import dump_text, load_jobtext

FORMATS = "ABCDEF"
DOMAIN = Domain.from_plain({"CATCHMENT_ID": ["cat-1"], "TIME": ["2015-12-01", "2015-12-02"]})


def wanting(format_: str, name: str = "it") -> Requirement:
    return Requirement(name, Category.FORCING, format_, DOMAIN)


def recipe(name: str, makes: str, reads: tuple[str, ...]) -> Recipe:
    def steps(wanted: Requirement) -> Iterator[Step]:
        yield Step(name, tuple(wanting(each, each.lower()) for each in reads), {"of": name})

    return Recipe(name, "", ((Category.FORCING, makes),), steps)


rules = st.lists(
    st.tuples(
        st.sampled_from(FORMATS),
        st.lists(st.sampled_from(FORMATS), min_size=1, max_size=2, unique=True).map(tuple),
    ),
    max_size=8,
)


def fewest(
    rules: list[tuple[str, tuple[str, ...]]], there: frozenset[str], wanted: str
) -> int | None:
    """The fewest steps of a plan of no more than MOST_STEPS levels, over all trees of rules."""
    cost: dict[tuple[str, int], int] = {}
    for depth, (made, reads) in product(range(1, MOST_STEPS + 1), rules):
        parts = [0 if each in there else cost.get((each, depth - 1)) for each in reads]
        if None not in parts:
            total = 1 + sum(part for part in parts if part is not None)
            cost[made, depth] = min(total, cost.get((made, depth), total))
    found = [cost[wanted, depth] for depth in range(1, MOST_STEPS + 1) if (wanted, depth) in cost]
    return min(found, default=None)


@settings(max_examples=100)
@given(rules, st.frozensets(st.sampled_from(FORMATS[1:])))
def test_a_plan_is_found_wherever_there_is_a_way_and_has_the_fewest_steps(
    rules: list[tuple[str, tuple[str, ...]]], there: frozenset[str]
) -> None:
    recipes = [recipe(str(place), made, reads) for place, (made, reads) in enumerate(rules)]

    def have(need: Requirement) -> Fulfilment | None:
        if need.format not in there:
            return None
        return Fulfilment(need.name, (DatasetId(f"of-{need.format}"),), None, "")

    plan = planned(wanting("A"), recipes, have)
    least = fewest(rules, there, "A")
    assert (plan is None) == (least is None)
    if plan is not None:
        assert plan.cost[0] == least
        assert_sound(plan, there)
        read = {(Category.FORCING, format_) for format_ in formats_read(plan)}
        assert read <= sources_of(wanting("A"), recipes)


def assert_sound(plan: Plan, there: frozenset[str]) -> None:
    """Each step reads what is there or what a step before it made, and its job can be sent."""
    made: list[Plan] = []
    for each in plan.in_order():
        for need, source in zip(each.step.inputs, each.sources, strict=True):
            if isinstance(source, Plan):
                assert any(source is before for before in made)
                assert source.wanted.format == need.format
            else:
                assert need.format in there
        made.append(each)
    assert made[-1] is plan
    spec = plan_job(plan, 50)
    assert load_jobtext(dump_text(spec)) == spec


def formats_read(plan: Plan) -> set[str | None]:
    return {need.format for each in plan.in_order() for need in each.step.inputs}


def test_a_recipe_that_needs_what_it_makes_leads_nowhere() -> None:
    recipes = [recipe("there", "A", ("B",)), recipe("back", "B", ("A",))]
    assert planned(wanting("A"), recipes, lambda need: None) is None


def test_a_recipe_that_names_thousands_of_inputs_ends() -> None:
    def steps(wanted: Requirement) -> Iterator[Step]:
        for place in range(1_000):
            yield Step("many", (wanting("B", f"b{place}"),), {})

    many = Recipe("many", "", tuple((Category.FORCING, each) for each in "AB"), steps)
    asked = 0

    def have(need: Requirement) -> Fulfilment | None:
        nonlocal asked
        asked += 1
        return None

    assert planned(wanting("A"), [many], have) is None
    assert asked < 1_000


def test_a_recipe_that_raises_names_no_way() -> None:
    def steps(wanted: Requirement) -> Iterator[Step]:
        yield Step("half", (wanting("B"),), {})
        raise TypeError("a stranger's bug")

    bad = guarded(Recipe("half", "", ((Category.FORCING, "A"),), steps))
    good = recipe("good", "A", ("C",))
    plan = planned(wanting("A"), [bad, good], fulfilled)
    assert plan is not None
    assert plan.step.derivation == "good"


def fulfilled(need: Requirement, *ids: str) -> Fulfilment:
    datasets = tuple(DatasetId(each) for each in ids or (f"of-{need.format}",))
    return Fulfilment(need.name, datasets, None, "")


def test_the_same_format_comes_before_a_conversion_that_reads_less() -> None:
    def steps(wanted: Requirement) -> Iterator[Step]:
        for each in "BA":
            yield Step("any", (wanting(each, "source"),), {})

    both = Recipe("any", "", ((Category.FORCING, "A"),), steps)

    def have(need: Requirement) -> Fulfilment:
        return fulfilled(need, "one", "two", "three") if need.format == "A" else fulfilled(need)

    one = Requirement("it", Category.FORCING, "A", DOMAIN, Shape.ONE)
    plan = planned(one, [both], have)
    assert plan is not None
    assert plan.datasets == ("one", "two", "three")


def _content(wanted: Requirement, *ids: str) -> str:
    plan = planned(wanted, [recipe("x", "A", ("B",))], lambda need: fulfilled(need, *ids))
    assert plan is not None
    return Derivable(Miss(wanted, (), ()), plan).content


def test_contents_are_named_by_the_question_and_by_the_data() -> None:
    exact = Requirement("x", Category.FORCING, "A", DOMAIN, Shape.EXACT)
    same = Requirement("y", Category.FORCING, "A", DOMAIN, Shape.EXACT)
    assert _content(exact, "1") == _content(same, "1")
    others = {_content(wanting("A"), "1"), _content(exact, "2"), _content(exact, "1", "2")}
    assert len({_content(exact, "1"), *others}) == 4
    question = {each.partition(".")[0] for each in (_content(exact, "1"), _content(exact, "2"))}
    assert len(question) == 1
