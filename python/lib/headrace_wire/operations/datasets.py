"""Datasets: the request service passes these on to the data service."""

from typing import Any, Final

from headrace_model.dataset import Category, DatasetState
from headrace_model.people import Act
from headrace_wire.answers import (
    BatchView,
    DatasetPage,
    DatasetPatch,
    DatasetView,
    DerivableView,
    DirectDownloadView,
    DirectUploadView,
    Fulfilled,
    ItemPage,
    ItemView,
    Missing,
    PartView,
    PromisedView,
    SealedView,
    SweptPage,
    Versions,
)
from headrace_wire.batch import BATCH_BYTES, BATCH_FILES, BatchRequest, TakeRequest
from headrace_wire.datasets import (
    ImportRequest,
    ImportView,
    MatchRequest,
    NewDataset,
    SealRequest,
    SweepRequest,
    UndeleteRequest,
)
from headrace_wire.direct import DirectDownload, DirectUpload
from headrace_wire.openapi import BYTES, Content, Operation, Parameter
from headrace_wire.operations.parameters import (
    CURSOR,
    DATASET,
    FLAG,
    KEY,
    ROOT,
    asked,
    whole,
)
from headrace_wire.people import ShareRequest

_ONE: Final = ROOT + "/datasets/{dataset}"
_ITEM: Final = _ONE + "/items/{path}"
_SHOWN: Final = {200: Content(DatasetView)}
_DONE: Final = {204: Content(about="Done; a repeat is success")}
_PATH: Final = Parameter("path", "path", "The path of a file in the dataset; it may hold `/`")
_SHA256: Final = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_DIGEST: Final = "The SHA-256 of the whole file, in lower-case hexadecimal"
_RANGE: Final = {
    "type": "string", "pattern": r"^bytes ([0-9]{1,15}-[0-9]{1,15}|\*)/[0-9]{1,15}$",
}  # fmt: skip
_DOMAIN: Final = {"TIME": ["1979-01-01", "1981-01-01"], "CATCHMENT_ID": "ALL"}
_OFFSET: Final = {"Upload-Offset": "How much of the file is there", "Upload-Complete": "?1 or ?0"}
_BATCH: Final = (
    'A batch is a line of JSON, `{"items": [{"path": …, "size_bytes": …, "sha256": …}, …]}`, and '
    f"then the bytes of these files, one after the other; at most {BATCH_FILES} files of "
    f"{BATCH_BYTES:,} bytes together."
)
_FILE: Final = {
    "ETag": "The SHA-256 of the file",
    "X-Content-SHA256": _DIGEST,
    "Accept-Ranges": "bytes",
}


def _of_items(method: str, summary: str, answers: Any, act: Act, **more: Any) -> Operation:
    return Operation(method, _ITEM, "datasets", summary, answers, act, **more)


def _share(verb: str, summary: str) -> Operation:
    return Operation(
        "POST", f"{_ONE}:{verb}", "datasets", summary, _SHOWN, Act.SHARE_DATASET,
        parameters=(DATASET,), errors=(404, 409),
        body=Content(ShareRequest, example={"who": "user:bob", "level": "write"}),
    )  # fmt: skip


_ITEMS: Final = (
    Operation(
        "GET", f"{_ONE}/items", "datasets", "List the files of a dataset",
        {200: Content(ItemPage)}, Act.SEE_DATASET,
        parameters=(DATASET, asked("limit", "At most how many", whole(1, 10_000, 1_000)), CURSOR),
        errors=(404,),
    ),
    _of_items(
        "PUT", "Upload a file, or a part of one",
        {
            200: Content(ItemView, headers=_OFFSET, about="It was there"),
            201: Content(ItemView, headers=_OFFSET),
            202: Content(PartView, headers=_OFFSET, about="More is to come"),
        },
        Act.CHANGE_DATASET,
        parameters=(
            DATASET, _PATH,
            Parameter("X-Content-SHA256", "header", _DIGEST, _SHA256, required=True),
            Parameter("Content-Range", "header",
                      "Of a part: `bytes FIRST-LAST/TOTAL`; `bytes */TOTAL` where all has come",
                      _RANGE),
        ),
        body=Content(media=BYTES, required=False), errors=(404, 409),
        about="After a cut, HEAD tells from which byte to go on.",
    ),
    _of_items(
        "GET", "Download a file, or a range of it",
        {
            200: Content(media=BYTES, headers=_FILE),
            206: Content(media=BYTES, headers={**_FILE, "Content-Range": "Which bytes"}),
            304: Content(about="It is what If-None-Match names"),
        },
        Act.SEE_DATASET,
        parameters=(
            DATASET, _PATH,
            Parameter("Range", "header", "`bytes=FIRST-LAST`; other units are ignored"),
            Parameter("If-None-Match", "header", "An ETag"),
            Parameter("If-Range", "header", "An ETag: of another file all is answered"),
        ),
        errors=(404, 416),
    ),
    _of_items(
        "HEAD", "Show a file; with X-Content-SHA256, how much of its upload is there",
        {200: Content(headers={**_FILE, **_OFFSET})}, Act.SEE_DATASET,
        parameters=(DATASET, _PATH, Parameter("X-Content-SHA256", "header", _DIGEST, _SHA256)),
        errors=(404, 409),
    ),
    _of_items(
        "DELETE", "Remove a file from a dataset that is open", _DONE, Act.CHANGE_DATASET,
        parameters=(DATASET, _PATH), errors=(404, 409),
    ),
)  # fmt: skip

DATASETS: Final = (
    Operation(
        "POST", f"{ROOT}/datasets", "datasets", "Make a dataset, open for uploads",
        {200: Content(DatasetView, about="Made before, with this key"), 201: Content(DatasetView)},
        Act.MAKE_DATASET, parameters=(KEY,), errors=(404, 409),
        body=Content(
            NewDataset,
            example={"name": "delaware-prcp", "category": "FORCING", "domain": _DOMAIN},
        ),
    ),
    Operation(
        "GET", f"{ROOT}/datasets", "datasets", "List datasets, the newest first",
        {200: Content(DatasetPage)}, Act.SEE_DATASET,
        parameters=(
            asked("category", "Of which category", {"type": "string", "enum": ["", *Category]}),
            asked("format", "Of which format"),
            asked("state", "In which state; DELETED ones are shown to those who may bring them "
                  "back, and only if asked for", {"type": "string", "enum": ["", *DatasetState]}),
            asked("owner", "Whose"),
            asked("name", "Of this name"),
            asked("job", "Made by this job"),
            asked("since", "Made at or after this time (ISO 8601)"),
            asked("domain", "With data for some of this at least, as JSON", {
                "type": "string", "example": '{"TIME": ["1979-01-01", "1980-01-01"]}',
            }),
            asked("q", "Part of the name, description or a tag"),
            asked("limit", "At most how many", whole(1, 1_000, 100)),
            CURSOR,
        ),
    ),
    Operation(
        "POST", f"{ROOT}/datasets:match", "datasets", "Find what would meet a requirement",
        {200: Content(Fulfilled | PromisedView | DerivableView | Missing)}, Act.SEE_DATASET,
        body=Content(MatchRequest, example={"category": "FORCING", "domain": _DOMAIN}),
    ),
    Operation(
        "POST", f"{ROOT}/datasets:sweep", "datasets", "Sweep a page of the store, or look at it",
        {200: Content(SweptPage)}, Act.SWEEP_STORE, errors=(409,),
        body=Content(SweepRequest, example={"dry_run": True}, required=False),
        about="Finds what nothing can name any more. Without `dry_run` what is `due` goes.",
    ),
    Operation(
        "GET", _ONE, "datasets", "Show a dataset", _SHOWN, Act.SEE_DATASET,
        parameters=(DATASET,), errors=(404,),
    ),
    Operation(
        "PATCH", _ONE, "datasets", "Describe, tag or rename a dataset, or change its expiry",
        _SHOWN, Act.CHANGE_DATASET, parameters=(DATASET,), errors=(404, 409),
        body=Content(DatasetPatch, required=False,
                     example={"description": "…", "tags": ["rain"], "expires_in": "30d"}),
        about="A name is that of all versions, so all are renamed; its old numbers stay taken.",
    ),
    Operation(
        "DELETE", _ONE, "datasets", "Delete one version",
        {
            200: Content(DatasetView, about="It can be brought back until `purged`"),
            204: Content(about="It is gone for good"),
        },
        Act.DELETE_DATASET, errors=(404, 409),
        parameters=(DATASET, asked("now", "For good, also one that was deleted before", FLAG)),
    ),
    Operation(
        "POST", f"{_ONE}:undelete", "datasets", "Bring a deleted version back", _SHOWN,
        Act.DELETE_DATASET, parameters=(DATASET,), errors=(404, 409),
        body=Content(UndeleteRequest, example={"name": "delaware-prcp-2"}, required=False),
        about="Under another name, where its own was taken meanwhile. A repeat is success.",
    ),
    Operation(
        "GET", f"{_ONE}/versions", "datasets", "List all versions", {200: Content(Versions)},
        Act.SEE_DATASET, parameters=(DATASET,), errors=(404,),
    ),
    Operation(
        "POST", f"{_ONE}:seal", "datasets", "Seal a dataset: it never changes again",
        {200: Content(SealedView)}, Act.CHANGE_DATASET, parameters=(DATASET,), errors=(404, 409),
        body=Content(SealRequest, example={"domain": _DOMAIN}, required=False),
    ),
    Operation(
        "POST", f"{_ONE}:upload", "datasets", "Upload many small files: all, or none",
        {200: Content(BatchView)}, Act.CHANGE_DATASET, parameters=(DATASET,), errors=(404, 409),
        body=Content(media=BYTES), about=_BATCH,
    ),
    Operation(
        "POST", f"{_ONE}:download", "datasets", "Download many small files",
        {200: Content(media=BYTES, about="A batch, in the order that was asked for")},
        Act.SEE_DATASET, parameters=(DATASET,), errors=(404,),
        body=Content(BatchRequest, example={"paths": ["a.csv", "more/b.csv"]}), about=_BATCH,
    ),
    Operation(
        "POST", f"{_ONE}:take", "datasets", "Take items from another dataset, without their bytes",
        {200: Content(BatchView)}, Act.CHANGE_DATASET, parameters=(DATASET,), errors=(404, 409),
        body=Content(TakeRequest, example={"dataset": "delaware-prcp@1", "paths": ["a.csv"]}),
        about="All, or none; the store copies. At most 256, of 1 GiB together on an S3 server.",
    ),
    Operation(
        "POST", f"{_ONE}:direct-upload", "datasets", "Upload a large file to the store itself",
        {200: Content(DirectUploadView)}, Act.CHANGE_DATASET,
        parameters=(DATASET,), errors=(404, 409),
        body=Content(DirectUpload, example={
            "path": "a.nc", "size_bytes": 2**30, "sha256": "0" * 64,
        }),
        about="Put the parts, then ask again, until the answer has the item. It goes on where it "
              "was after whatever broke.",
    ),
    Operation(
        "POST", f"{_ONE}:direct-download", "datasets", "Find where the store gives a file itself",
        {200: Content(DirectDownloadView)}, Act.SEE_DATASET,
        parameters=(DATASET,), errors=(404,),
        body=Content(DirectDownload, example={"path": "a.nc"}),
    ),
    Operation(
        "POST", f"{_ONE}:import", "datasets", "Make items of files that lie elsewhere, in place",
        {200: Content(ImportView)}, Act.IMPORT_DATA, parameters=(DATASET,), errors=(404, 409),
        body=Content(ImportRequest, example={"source": "s3://forcing/aorc/2015"}),
        about="For some seconds; repeat it with `after` of the answer until that is null. Only "
        "from places that the setting import_places names. What is an item is not read again.",
    ),
    _share("share", "Let somebody else find and download a dataset, or fill it too"),
    _share("unshare", "Take a share back"),
    *_ITEMS,
)  # fmt: skip
