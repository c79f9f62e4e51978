package ec2

import "github.com/aws/aws-sdk-go-v2/aws"

// MarkCredentialErrors is what NewClient does to every provider of credentials.
func MarkCredentialErrors(provider aws.CredentialsProvider) aws.CredentialsProvider {
	return credentialsProvider{provider}
}
