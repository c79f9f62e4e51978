output "policy_arn" {
  description = "ARN of the policy."
  value       = aws_iam_policy.ebb.arn
}

output "policy_json" {
  description = "The policy, as ebb iam-policy prints it."
  value       = local.policy
}
