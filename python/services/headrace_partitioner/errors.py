"""The errors of partitioning.

InvalidInput
└── PartitioningFailed   a fabric that can't be split so, or a partition config that can't be read
"""

from headrace_model.errors import InvalidInput


class PartitioningFailed(InvalidInput):
    """A fabric can't be split as it is asked, or a partition config can't be read."""

    code = "PARTITIONING_FAILED"
