"""AWS's regions, as botocore lists them."""

from functools import cache

import botocore.session


@cache
def alike(region: str) -> tuple[str, ...]:
    """The regions of the same partition, in the order of their names, this one always among them."""
    session = botocore.session.get_session()
    try:
        partition = session.get_partition_for_region(region)
    except botocore.exceptions.UnknownRegionError:
        return (region,)
    return tuple(sorted({region, *session.get_available_regions("ec2", partition_name=partition)}))
