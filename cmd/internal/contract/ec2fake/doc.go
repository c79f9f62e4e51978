// Package ec2fake checks the fake EC2 region and the world around it as a whole:
// over real sockets, with the AWS SDK and real bootstrap scripts, and against
// software that nobody here wrote. For the latter, boto3 is started as a program
// of its own; that test needs the build tag real and the environment variable
// EBB_REAL_VENV, the directory of a Python virtual environment in which boto3 is
// installed, and fails without them.
package ec2fake
