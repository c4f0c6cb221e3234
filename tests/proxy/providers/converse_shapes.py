"""AWS's own description of Converse, as botocore carries it: the judge of what we send."""

from typing import Any

import boto3
from botocore.validate import ParamValidator


def assert_is_converse(document: dict[str, Any], model: str = "a.b") -> None:
    """Fail with botocore's words when the document is no input of Converse.

    Bytes are base64 texts in JSON, where botocore takes bytes or texts alike.
    """
    client = boto3.client("bedrock-runtime", region_name="us-east-1")
    shape = client.meta.service_model.operation_model("Converse").input_shape
    report = ParamValidator().validate({"modelId": model, **document}, shape)
    assert not report.has_errors(), report.generate_report()
