import sqlite3
import ssl

import boto3
import matplotlib
import numpy
import pandas
import pydantic
import requests

assert boto3.client("s3", region_name="us-east-1").meta.service_model.service_name == "s3"
assert pandas.DataFrame({"a": numpy.arange(3)})["a"].sum() == 3
assert all(module.__name__ for module in (sqlite3, ssl, matplotlib, pydantic, requests))
print("OK")
