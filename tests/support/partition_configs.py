"""A judge of partition configs that shares no code with what makes and checks them."""

from typing import Any

Flows = tuple[dict[str, str], dict[str, str]]
"""Where catchments and nexuses flow to."""


def problems(river: Flows, plain: Any) -> list[str]:
    """Judge a config as ngen uses it, from its text alone and without code of ours."""
    catchments, nexuses = river
    found = []
    ranks = plain["partitions"]
    if [each["id"] for each in ranks] != list(range(len(ranks))):
        found.append("ranks")
    at: dict[str, int] = {}
    for each in ranks:
        for id_ in each["cat-ids"]:
            if id_ in at:
                found.append(f"{id_} twice")
            at[id_] = each["id"]
    if {id_ for id_ in at if not id_.startswith("wb-TERMINAL_SENTINEL-")} != set(catchments):
        found.append("catchments")
    told = {
        (each["id"], c["mpi-rank"], c["nex-id"], c["cat-id"], c["cat-direction"])
        for each in ranks
        for c in each["remote-connections"]
    }
    if len(told) != sum(len(each["remote-connections"]) for each in ranks):
        found.append("a connection twice")
    for id_, nexus in catchments.items():
        if nexus not in nexuses:
            continue
        if nexus not in ranks[at[id_]]["nex-ids"]:
            found.append(f"{id_} lacks its nexus")
        below = nexuses[nexus].replace("wb-", "cat-")
        siblings = {at[each] for each, to in catchments.items() if to == nexus}
        if below not in catchments:
            if len(siblings) == 1:
                continue
            below = f"wb-TERMINAL_SENTINEL-{nexus}"
        receiver = at.get(below)
        if receiver is None:
            found.append(f"nobody receives at {nexus}")
        elif receiver != at[id_]:
            sends = (at[id_], receiver, nexus, below, "nex-to-dest_cat")
            gets = (receiver, at[id_], nexus, id_, "orig_cat-to-nex")
            found += [f"{each} is missing" for each in (sends, gets) if each not in told]
            told -= {gets}
            if nexus not in ranks[receiver]["nex-ids"]:
                found.append(f"the receiver lacks {nexus}")
    for rank, to, nexus, _, way in told:
        above = {at[each] for each, flows in catchments.items() if flows == nexus}
        if way == "orig_cat-to-nex" or rank not in above or rank == to:
            found.append(f"{rank} {to} {nexus} {way} is not so")
    return found
