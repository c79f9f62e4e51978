// Package ec2 holds the EC2 adapter to its contract, against servers: the fake
// region in ordinary tests, and moto, which other people wrote, behind the build
// tag real. What a server does differently from EC2 is listed with its reason,
// and the difference itself is tested, so that a row cannot outlive it.
package ec2
