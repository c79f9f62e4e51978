variable "name" {
  description = "Name of the policy."
  type        = string
  default     = "ebb"
}

variable "roles" {
  description = "Names of the roles that get the policy: of the machine, or of the pods (IRSA), that ebb runs on."
  type        = set(string)
  default     = []
}

variable "tags" {
  description = "Tags of the policy."
  type        = map(string)
  default     = {}
}

variable "restricted" {
  description = "false makes the basic policy, which can end any instance of the account. It is for trying ebb out."
  type        = bool
  default     = true
}

variable "partition" {
  description = "aws, aws-cn or aws-us-gov."
  type        = string
  default     = "aws"
  validation {
    condition     = contains(["aws", "aws-cn", "aws-us-gov"], var.partition)
    error_message = "partition is none of aws, aws-cn, aws-us-gov."
  }
}

variable "region" {
  description = "The one region in which everything happens."
  type        = string
  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]+$", var.region))
    error_message = "region is not a region, such as us-east-1."
  }
}

variable "account" {
  description = "The number of the account."
  type        = string
  validation {
    condition     = can(regex("^[0-9]{12}$", var.account))
    error_message = "account is not a number of 12 digits."
  }
}

variable "autoscaler" {
  description = "Name of the autoscaler: the value of the tag ebb:autoscaler on all that is its own."
  type        = string
  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$", var.autoscaler))
    error_message = "autoscaler has other characters than letters, digits, - and _, or is longer than 63."
  }
}

variable "amis" {
  description = "Ids of the images; none for any of ami_owner."
  type        = list(string)
  default     = []
}

variable "ami_owner" {
  description = "Who owns the images that amis does not name: an account's number, amazon or aws-marketplace. Needed without amis, and with ami_parameters."
  type        = string
  default     = ""
  validation {
    condition     = var.ami_owner == "" || can(regex("^([0-9]{12}|amazon|aws-marketplace)$", var.ami_owner))
    error_message = "ami_owner is not an account's number, amazon or aws-marketplace."
  }
}

variable "subnets" {
  description = "Ids of the subnets to launch into; none for any of the account in the region."
  type        = list(string)
  default     = []
}

variable "security_groups" {
  description = "Ids of the security groups that instances may get; none for any."
  type        = list(string)
  default     = []
}

variable "key_pairs" {
  description = "Names of the SSH key pairs that instances get."
  type        = list(string)
  default     = []
}

variable "snapshots" {
  description = "Ids of the snapshots that volumes start with."
  type        = list(string)
  default     = []
}

variable "ami_parameters" {
  description = "Paths of the SSM parameters that images are resolved from (resolve:ssm:…)."
  type        = list(string)
  default     = []
}

variable "profile_roles" {
  description = "ARNs of the roles in the instances' profiles, which ebb passes on."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for role in var.profile_roles : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$", role))])
    error_message = "profile_roles has something that is not the ARN of a role (the role in the profile, not the profile)."
  }
}

variable "no_spot" {
  description = "Leave out what only spot instances need."
  type        = bool
  default     = false
}

variable "spot_role" {
  description = "Also let it make the account's role for spot, which the first spot request of an account needs."
  type        = bool
  default     = false
}
