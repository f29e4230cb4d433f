"""Every format is read by the limited child just as it is in the own process."""

from pathlib import Path

import pytest

from headrace_formats import detect
from headrace_formats.runner import detect_folder
from tests.support.format_samples import SAMPLES
from tests.support.samples import sample

REAL = {
    "AORC_CSV": "ngen-gauge-01073000/forcing",
    "BMI_CONFIG": "ngen-gauge-01073000/NOAH",
    "NETCDF_AORC_DEFAULT": "ngen-sugar-creek/forcing/cats-27_52_67-2015_12_01-2015_12_30.nc",
    "NGEN_CSV_OUTPUT": "ngen-sugar-creek/corrected/expected_output",
    "NGEN_GEOJSON_HYDROFABRIC": "ngen-sugar-creek/catchment_data.geojson",
    "NGEN_GEOPACKAGE_HYDROFABRIC_V1": "troute-hyfeature/gauge_01069700.gpkg",
    "NGEN_GEOPACKAGE_HYDROFABRIC_V2": "ngen-gauge-01073000/gauge_01073000.gpkg",
    "NGEN_PARTITION_CONFIG": "ngen-partitions/simple_partition8.json",
    "NGEN_REALIZATION_CONFIG": "ngen-sugar-creek/corrected/realization.json",
    "NGEN_CAL_CONFIG": "ngen-cal/example_config.yaml",
    "T_ROUTE_CONFIG": "ngen-gauge-01073000/routing_config.yaml",
    "T_ROUTE_CSV": "ngen-cal/troute_output/troute_output.csv",
    "T_ROUTE_PARQUET": "ngen-cal/troute_output/flowveldepth.parquet",
    "T_ROUTE_NETCDF": "ngen-cal/troute_output/troute_output.nc",
    "TIMESERIES_CSV": "usgs-2015-12/usgs_hourly_cms.csv",
    "USGS_WATERML_JSON": "usgs-2015-12/2015_observations.json",
}


@pytest.mark.parametrize("name", sorted(REAL))
async def test_a_real_sample_is_the_same_in_the_child(name: str) -> None:
    path = sample(REAL[name])
    here = detect.detect_folder(path)
    there = await detect_folder(path)
    assert there.format == here.format == name
    assert (there.domain, there.notes) == (here.domain, here.notes)


@pytest.mark.parametrize("name", sorted(SAMPLES))
async def test_a_small_file_is_the_same_in_the_child(tmp_path: Path, name: str) -> None:
    file, data = SAMPLES[name]
    (tmp_path / file).write_bytes(data)
    here = detect.detect_folder(tmp_path)
    there = await detect_folder(tmp_path)
    assert there.format == here.format == name
    assert (there.domain, there.notes) == (here.domain, here.notes)
