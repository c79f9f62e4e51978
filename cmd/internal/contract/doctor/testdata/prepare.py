"""Makes in moto what the test of ebb doctor needs, and prints it as JSON.

    prepare.py ENDPOINT REGION POLICY

POLICY is the IAM policy of a user who may do everything that ebb does.
"""

import json
import sys

import boto3

endpoint, region, policy = sys.argv[1:]
REFUSED = ["RunInstances", "TerminateInstances", "DescribeInstances", "GetConsoleOutput", "DescribeSpotInstanceRequests"]


def client(service):
    return boto3.client(
        service, endpoint_url=endpoint, region_name=region, aws_access_key_id="setup", aws_secret_access_key="setup"
    )


ec2, iam = client("ec2"), client("iam")


def image(architecture):
    found = ec2.describe_images(Filters=[{"Name": "architecture", "Values": [architecture]}])["Images"]
    if found:
        return found[0]["ImageId"]
    return ec2.register_image(Name=architecture, Architecture=architecture)["ImageId"]


def user(name, document):
    arn = iam.create_user(UserName=name)["User"]["Arn"]
    iam.put_user_policy(UserName=name, PolicyName="ebb", PolicyDocument=json.dumps(document))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"arn": arn, "key": key["AccessKeyId"], "secret": key["SecretAccessKey"]}


def without(document, action):
    less = json.loads(json.dumps(document))
    for statement in less["Statement"]:
        statement["Action"] = [a for a in statement["Action"] if a != "ec2:" + action]
    return less


def missing_in(zone):
    """A type of the spot market, for x86_64, that the zone does not have."""
    pages = ec2.get_paginator("describe_instance_type_offerings").paginate(LocationType="availability-zone")
    sold = {}
    for page in pages:
        for o in page["InstanceTypeOfferings"]:
            sold.setdefault(o["InstanceType"], set()).add(o["Location"])
    for kind in sorted(k for k in sold if zone not in sold[k]):
        about = ec2.describe_instance_types(InstanceTypes=[kind])["InstanceTypes"][0]
        if "spot" in about["SupportedUsageClasses"] and "x86_64" in about["ProcessorInfo"]["SupportedArchitectures"]:
            return kind
    raise SystemExit(f"every type is offered in {zone}")


needed = json.loads(policy)
look_ups = ["Images", "InstanceTypes", "InstanceTypeOfferings", "Subnets", "SecurityGroups", "KeyPairs"]
looking = json.loads(policy)
looking["Statement"].append(
    {"Effect": "Allow", "Action": ["ec2:Describe" + what for what in look_ups], "Resource": ["*"]}
)

ec2.create_key_pair(KeyName="ops")
iam.create_instance_profile(InstanceProfileName="worker")
subnets = sorted(ec2.describe_subnets()["Subnets"], key=lambda s: s["AvailabilityZone"])
groups = ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [subnets[0]["VpcId"]]}])["SecurityGroups"]
other = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
print(
    json.dumps(
        {
            "x86_64": image("x86_64"),
            "arm64": image("arm64"),
            "subnets": [s["SubnetId"] for s in subnets[:2]],
            "zones": [s["AvailabilityZone"] for s in subnets[:2]],
            "group": groups[0]["GroupId"],
            "other_group": ec2.create_security_group(GroupName="other", Description="other", VpcId=other)["GroupId"],
            "rare_type": missing_in(subnets[0]["AvailabilityZone"]),
            "users": {
                "good": user("good", looking),
                "least": user("least", needed),
                **{action: user("no-" + action, without(looking, action)) for action in REFUSED},
            },
        }
    )
)
