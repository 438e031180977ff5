"""Judges documents of YAML by the schemas of a version of Kubernetes, which is the argument, in which no field is
allowed that a schema does not have. Prints them as JSON: a list of {"document", "fault", "has_schema"}."""

import json
import sys

import kubernetes_validate
import yaml


def judged(document):
    verdict = {"document": document, "fault": None, "has_schema": True}
    try:
        kubernetes_validate.validate(document, sys.argv[1], strict=True)
    except kubernetes_validate.ValidationError as error:
        place = ".".join(str(part) for part in error.path)
        verdict["fault"] = f"{place}: {error.message}"
    except kubernetes_validate.SchemaNotFoundError:
        verdict["has_schema"] = False
    return verdict


documents = [document for document in yaml.safe_load_all(sys.stdin) if document]
json.dump([judged(document) for document in documents], sys.stdout)
