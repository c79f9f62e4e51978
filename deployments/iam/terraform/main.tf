# The policy of `ebb iam-policy`, statement by statement. A test of ebb evaluates these
# locals and compares them with what the program prints, for many values of the variables.

locals {
  ec2    = "arn:${var.partition}:ec2:${var.region}:${var.account}"
  public = "arn:${var.partition}:ec2:${var.region}:"

  # What a launch makes.
  created = [for kind in concat(["instance", "network-interface"], var.no_spot ? [] : ["spot-instances-request"], ["volume"]) : "${local.ec2}:${kind}/*"]

  # Listings.
  list = concat(["ec2:DescribeInstances"], var.no_spot ? [] : ["ec2:DescribeSpotInstanceRequests"])

  # What a launch uses.
  used = concat(
    length(var.subnets) == 0 ? ["${local.ec2}:subnet/*"] : sort(distinct([for id in var.subnets : "${local.ec2}:subnet/${id}"])),
    length(var.security_groups) == 0 ? ["${local.ec2}:security-group/*"] : sort(distinct([for id in var.security_groups : "${local.ec2}:security-group/${id}"])),
    length(var.key_pairs) == 0 ? [] : sort(distinct([for name in var.key_pairs : "${local.ec2}:key-pair/${name}"])),
    length(var.snapshots) == 0 ? [] : sort(distinct([for id in var.snapshots : "${local.public}:snapshot/${id}"])),
    length(var.amis) == 0 ? [] : sort(distinct([for id in var.amis : "${local.public}:image/${id}"])),
  )

  basic = [{
    Sid      = "Autoscaler"
    Effect   = "Allow"
    Action   = concat(["ec2:CreateTags"], local.list, ["ec2:GetConsoleOutput", "ec2:RunInstances", "ec2:TerminateInstances"])
    Resource = ["*"]
  }]

  # Images that no id names: any of one owner.
  from_image = length(var.amis) > 0 && length(var.ami_parameters) == 0 ? [] : [{
    Sid       = "LaunchFromImage"
    Effect    = "Allow"
    Action    = ["ec2:RunInstances"]
    Resource  = ["${local.public}:image/*"]
    Condition = { StringEquals = { "ec2:Owner" = var.ami_owner } }
  }]

  launch = [
    {
      # Listings know no resources: all or none.
      Sid       = "See"
      Effect    = "Allow"
      Action    = local.list
      Resource  = ["*"]
      Condition = { StringEquals = { "aws:RequestedRegion" = var.region } }
    },
    {
      # What a launch makes must carry the owner tag from the first moment.
      Sid       = "LaunchOnlyTagged"
      Effect    = "Allow"
      Action    = ["ec2:RunInstances"]
      Resource  = local.created
      Condition = { StringEquals = { "aws:RequestTag/ebb:autoscaler" = var.autoscaler } }
    },
    {
      Sid      = "LaunchWith"
      Effect   = "Allow"
      Action   = ["ec2:RunInstances"]
      Resource = local.used
    },
  ]

  own = [
    {
      # Tags only as part of a launch: a foreign instance cannot be made ours.
      Sid       = "TagAtLaunch"
      Effect    = "Allow"
      Action    = ["ec2:CreateTags"]
      Resource  = local.created
      Condition = { StringEquals = { "ec2:CreateAction" = "RunInstances" } }
    },
    {
      Sid       = "OnlyOwn"
      Effect    = "Allow"
      Action    = ["ec2:GetConsoleOutput", "ec2:TerminateInstances"]
      Resource  = ["${local.ec2}:instance/*"]
      Condition = { StringEquals = { "aws:ResourceTag/ebb:autoscaler" = var.autoscaler } }
    },
  ]

  # The basic policy names no region and no account.
  some_region  = var.restricted ? var.region : "*"
  some_account = var.restricted ? var.account : "*"

  resolve_image = length(var.ami_parameters) == 0 ? [] : [{
    Sid    = "ResolveImage"
    Effect = "Allow"
    Action = ["ssm:GetParameters"]
    # Those below /aws/ belong to AWS and have no account.
    Resource = sort(distinct([for path in var.ami_parameters :
      "arn:${var.partition}:ssm:${local.some_region}:${substr(path, 0, 5) == "/aws/" ? "" : local.some_account}:parameter${path}"
    ]))
  }]

  give_role = length(var.profile_roles) == 0 ? [] : [{
    Sid       = "GiveRole"
    Effect    = "Allow"
    Action    = ["iam:PassRole"]
    Resource  = sort(distinct(var.profile_roles))
    Condition = { StringEquals = { "iam:PassedToService" = var.partition == "aws-cn" ? "ec2.amazonaws.com.cn" : "ec2.amazonaws.com" } }
  }]

  first_spot_launch = !var.spot_role ? [] : [{
    Sid       = "FirstSpotLaunch"
    Effect    = "Allow"
    Action    = ["iam:CreateServiceLinkedRole"]
    Resource  = ["arn:${var.partition}:iam::${local.some_account}:role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot"]
    Condition = { StringEquals = { "iam:AWSServiceName" = "spot.amazonaws.com" } }
  }]

  # In JSON before the choice: the two lists have different types.
  basic_json      = jsonencode(local.basic)
  restricted_json = jsonencode(concat(local.launch, local.from_image, local.own))
  head            = var.restricted ? local.restricted_json : local.basic_json
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = concat(jsondecode(local.head), local.resolve_image, local.give_role, local.first_spot_launch)
  })
}

resource "aws_iam_policy" "ebb" {
  name        = var.name
  description = "What ebb needs to autoscale EC2 instances for ClearML queues"
  policy      = local.policy
  tags        = var.tags

  lifecycle {
    precondition {
      condition     = length(local.policy) <= 6144
      error_message = "The policy is longer than IAM takes: name fewer subnets, security groups and snapshots."
    }
    precondition {
      condition     = !var.restricted || var.ami_owner != "" || (length(var.amis) > 0 && length(var.ami_parameters) == 0)
      error_message = "ami_owner is needed without amis, and with ami_parameters."
    }
  }
}

resource "aws_iam_role_policy_attachment" "ebb" {
  for_each   = var.roles
  role       = each.value
  policy_arn = aws_iam_policy.ebb.arn
}
