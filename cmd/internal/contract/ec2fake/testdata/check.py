"""Drives the fake EC2 region with boto3. Usage: check.py ENDPOINT."""

import json
import sys
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ENDPOINT = sys.argv[1]
AMI = "ami-0e3a1b2c3d4e5f601"
SUBNET = "subnet-0f0000000000000aa"


def client(key="AKIDEXAMPLE"):
    return boto3.session.Session(aws_access_key_id=key, aws_secret_access_key="secret", region_name="us-east-1").client(
        "ec2", endpoint_url=ENDPOINT, verify=False,
        config=Config(retries={"total_max_attempts": 1}, proxies={}),
    )


def refused(code, status, call, **kwargs):
    try:
        call(**kwargs)
    except ClientError as error:
        got = (error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"])
        assert got == (code, status), f"{got} instead of {(code, status)}"
        return
    raise AssertionError(f"no {code}")


def admin(path, body):
    request = urllib.request.Request(ENDPOINT + "/_fake/" + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request).close()


def spec(kind, **tags):
    return {"ResourceType": kind, "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}


def launch(ec2, token, **more):
    return ec2.run_instances(
        ImageId=AMI, InstanceType="g4dn.xlarge", SubnetId=SUBNET, ClientToken=token, UserData="#!/bin/sh\necho 'hi'\n", **more
    )


def instances(reservations):
    return [i for r in reservations for i in r["Instances"]]


def on_demand(ec2):
    one = launch(ec2, "t1", MinCount=1, MaxCount=3, InstanceInitiatedShutdownBehavior="terminate",
                 MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 2},
                 BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 100, "VolumeType": "gp3"}}],
                 TagSpecifications=[spec("instance", Name="a", team="x"), spec("volume", Name="a")])
    ids = [i["InstanceId"] for i in one["Instances"]]
    assert len(ids) == 3 and one["Instances"][0]["State"] == {"Code": 0, "Name": "pending"}, one
    refused("IdempotentParameterMismatch", 400, launch, ec2=ec2, token="t1", MinCount=1, MaxCount=2)
    ec2.get_waiter("instance_running").wait(InstanceIds=ids, WaiterConfig={"Delay": 1, "MaxAttempts": 20})
    found = instances(ec2.describe_instances(Filters=[{"Name": "tag:team", "Values": ["x"]}])["Reservations"])
    assert sorted(i["InstanceId"] for i in found) == sorted(ids)
    first = found[0]
    assert first["MetadataOptions"]["HttpTokens"] == "required" and first["MetadataOptions"]["HttpPutResponseHopLimit"] == 2
    assert first["LaunchTime"].tzinfo is not None and first["BlockDeviceMappings"][0]["Ebs"]["DeleteOnTermination"] is True
    assert ec2.describe_instances(Filters=[{"Name": "client-token", "Values": ["nobody"]}])["Reservations"] == []
    return ids


def spot(ec2):
    options = {"MarketType": "spot", "SpotOptions": {"SpotInstanceType": "one-time", "MaxPrice": "0.4"}}
    one = launch(ec2, "t2", MinCount=1, MaxCount=1, InstanceMarketOptions=options,
                 TagSpecifications=[spec("instance", Name="s"), spec("spot-instances-request", Name="s")])["Instances"][0]
    assert one["InstanceLifecycle"] == "spot", one
    request = one["SpotInstanceRequestId"]
    ec2.get_waiter("instance_running").wait(InstanceIds=[one["InstanceId"]], WaiterConfig={"Delay": 1, "MaxAttempts": 20})
    shown = ec2.describe_spot_instance_requests(SpotInstanceRequestIds=[request])["SpotInstanceRequests"][0]
    assert shown["State"] == "active" and shown["Status"]["Code"] == "fulfilled" and shown["Tags"] == [{"Key": "Name", "Value": "s"}], shown
    admin("interrupt", {"instance_id": one["InstanceId"], "notice_seconds": -1})
    ended = ec2.describe_instances(InstanceIds=[one["InstanceId"]])["Reservations"][0]["Instances"][0]
    assert ended["StateReason"]["Code"] == "Server.SpotInstanceTermination", ended
    assert ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[request])["CancelledSpotInstanceRequests"][0]["State"] == "closed"


def tags(ec2, ids):
    ec2.create_tags(Resources=ids, Tags=[{"Key": "ebb:drain", "Value": "1"}])
    listed = ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": ids[:1]}])["Tags"]
    assert {t["Key"]: t["Value"] for t in listed} == {"Name": "a", "team": "x", "ebb:drain": "1"}, listed
    ec2.delete_tags(Resources=ids, Tags=[{"Key": "ebb:drain"}])
    assert len(ec2.describe_tags(Filters=[{"Name": "key", "Values": ["ebb:drain"]}])["Tags"]) == 0


def paginator(ec2):
    ids = [i["InstanceId"] for n in range(3) for i in launch(ec2, f"p{n}", MinCount=4, MaxCount=4)["Instances"]]
    pages = list(ec2.get_paginator("describe_instances").paginate(
        Filters=[{"Name": "instance-state-name", "Values": ["pending", "running"]}, {"Name": "instance-id", "Values": ids}],
        PaginationConfig={"PageSize": 5}))
    assert [len(instances(p["Reservations"])) for p in pages] == [5, 5, 2]
    assert [i["InstanceId"] for p in pages for i in instances(p["Reservations"])] == ids


def terminate(ec2, ids):
    refused("InvalidInstanceID.NotFound", 400, ec2.terminate_instances, InstanceIds=[ids[0], "i-0123456789abcdef0"])
    refused("DryRunOperation", 412, ec2.terminate_instances, InstanceIds=ids, DryRun=True)
    ended = ec2.terminate_instances(InstanceIds=ids)["TerminatingInstances"]
    assert {e["PreviousState"]["Name"] for e in ended} == {"running"} and {e["CurrentState"]["Code"] for e in ended} == {32}, ended
    ec2.get_waiter("instance_terminated").wait(InstanceIds=ids, WaiterConfig={"Delay": 1, "MaxAttempts": 20})
    refused("IdempotentInstanceTerminated", 400, launch, ec2=ec2, token="t1", MinCount=1, MaxCount=3,
            InstanceInitiatedShutdownBehavior="terminate",
            MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 2},
            BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 100, "VolumeType": "gp3"}}],
            TagSpecifications=[spec("instance", Name="a", team="x"), spec("volume", Name="a")])


def catalog(ec2, ids):
    kind = ec2.describe_instance_types(InstanceTypes=["g4dn.xlarge"])["InstanceTypes"][0]
    assert kind["VCpuInfo"]["DefaultVCpus"] == 4 and kind["GpuInfo"]["Gpus"][0]["Name"] == "T4", kind
    assert len(ec2.describe_availability_zones()["AvailabilityZones"]) == 4
    assert ec2.describe_subnets(SubnetIds=[SUBNET])["Subnets"][0]["AvailabilityZone"] == "us-east-1a"
    assert ec2.describe_images(ImageIds=[AMI])["Images"][0]["State"] == "available"
    assert ec2.describe_security_groups()["SecurityGroups"] and ec2.describe_key_pairs()["KeyPairs"]
    assert ec2.describe_instance_type_offerings(LocationType="availability-zone")["InstanceTypeOfferings"]
    status = ec2.describe_instance_status(InstanceIds=ids)["InstanceStatuses"]
    assert len(status) == len(ids) and status[0]["InstanceStatus"]["Status"] in ("initializing", "ok"), status
    assert ec2.get_console_output(InstanceId=ids[0])["InstanceId"] == ids[0]
    refused("InvalidAction", 400, ec2.describe_vpcs)


def failures(ec2):
    refused("AuthFailure", 401, client("AKIDOTHER").describe_instances)
    admin("capacity", {"type": "g4dn.xlarge", "zone": "us-east-1a", "market": "on-demand", "limit": 0})
    refused("InsufficientInstanceCapacity", 500, launch, ec2=ec2, token="t9", MinCount=1, MaxCount=1)
    admin("faults", {"action": "DescribeInstances", "kind": "error_before", "code": "RequestLimitExceeded"})
    refused("RequestLimitExceeded", 503, ec2.describe_instances)


def main():
    ec2 = client()
    ids = on_demand(ec2)
    spot(ec2)
    tags(ec2, ids)
    catalog(ec2, ids)
    paginator(ec2)
    terminate(ec2, ids)
    failures(ec2)
    print("ok")


main()
