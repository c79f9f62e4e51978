package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/ebbscale/ebb/adapters/ec2"
	"github.com/ebbscale/ebb/messages"
)

// otherRegion is in the refusal of an endpoint that is of another region than
// the call is signed for.
const otherRegion = "scoped to a valid region"

// listing is what EC2 listed of the autoscaler; known is false when it did not.
type listing struct {
	known     bool
	instances []messages.Instance
}

func (l listing) has(id messages.InstanceID) bool {
	return slices.ContainsFunc(l.instances, func(i messages.Instance) bool { return i.ID == id })
}

// living is how many instances are not on their way out.
func (l listing) living() int {
	count := 0
	for _, i := range l.instances {
		if !i.State.Ending() {
			count++
		}
	}
	return count
}

// alive is an instance that could be ended, empty without one.
func (l listing) alive() messages.InstanceID {
	for _, i := range l.instances {
		if !i.State.Ending() {
			return i.ID
		}
	}
	return ""
}

// visit is a patient's visit to AWS.
type visit struct {
	*patient
	*sheet
	prober *ec2.Prober
	who    ec2.Identity
	fleet  listing
	// trials are the dry runs of launches, by resource type in the order of the
	// configuration, then by offering.
	trials [][]trial
}

// checkAWS looks at all of AWS.
func (p *patient) checkAWS(ctx context.Context, s *sheet) listing {
	prober, err := ec2.NewProber(ctx, p.EC2, ec2.Config{Autoscaler: p.Name, Resources: p.Templates(), Log: p.options.Log})
	if err != nil {
		s.fail(AWSCredentials, "", err.Error(), "correct "+p.path+".aws")
		s.skip("aws.credentials failed", "", awsChecks()[1:]...)
		return listing{}
	}
	v := &visit{patient: p, sheet: s, prober: prober}
	if !v.checkIdentity(ctx) {
		s.skip("aws.credentials failed", "", awsChecks()[1:]...)
		return listing{}
	}
	refused, ok := v.checkRegion(ctx)
	if !ok {
		s.skip(v.gate(), "", awsChecks()[2:]...)
		return listing{}
	}
	v.tryLaunches(ctx)
	v.checkPermissions(ctx, refused)
	books := newBooks(prober)
	for i := range p.Resources {
		v.checkResource(ctx, i, books)
	}
	s.skip("it takes rights that ebb has no need of: compare max_instances with the vCPU limits of the account "+
		"(Service Quotas > Amazon EC2 > Running On-Demand … instances, All … Spot Instance Requests)", "", AWSQuota)
	return v.fleet
}

// gate names the check that has failed and on which all of EC2 rests.
func (v *visit) gate() string {
	if v.failed(AWSCredentials, "") {
		return "aws.credentials failed"
	}
	return "aws.region failed"
}

// awsKey is a key of the autoscaler's aws.
func (v *visit) awsKey(name string) string { return v.path + ".aws." + name }

// credentialsFix is what to do about credentials that are no good.
func (v *visit) credentialsFix() string {
	if v.config.AWS.UseIAMRole {
		return "give this machine or pod a role (EC2: an instance profile; EKS: a service account), or set AWS_PROFILE or AWS_ACCESS_KEY_ID, " +
			"or write " + v.awsKey("use_iam_role") + ": false and a key; aws sts get-caller-identity shows what the role is"
	}
	keys := v.awsKey("access_key_id") + " and " + v.awsKey("secret_access_key")
	if v.config.AWS.SessionToken.IsSet() {
		keys += ", with the " + v.awsKey("session_token") + " that belongs to them"
	}
	return "make an access key (IAM > Users > Security credentials) and write it as " + keys
}

// checkIdentity asks whose the credentials are. Where STS cannot be reached all
// else goes on: ebb itself has no need of it.
func (v *visit) checkIdentity(ctx context.Context) bool {
	limited, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	who, err := v.prober.Identity(limited)
	if err == nil {
		v.who = who
		v.ok(AWSCredentials, "", "account %s, %s", who.Account, who.ARN)
		return true
	}
	failure := messages.FailureOf(err)
	if failure.Class == messages.ClassUnauthorized && !strings.Contains(failure.Message, otherRegion) {
		v.fail(AWSCredentials, "", "AWS does not take the credentials: "+short(failure), v.credentialsFix())
		return false
	}
	v.warn(AWSCredentials, "", "STS does not say whose the credentials are: "+short(failure),
		"nothing, if aws.region is ok: ebb run does not call STS; else see there")
	return true
}

// short is a failure without its class, and without what the SDK puts in front
// of every error of the network, and EC2 in front of every refusal.
func short(failure *messages.Failure) string {
	message := failure.Message
	if _, network, ok := strings.Cut(message, "request send failed, "); ok {
		message = network
	}
	if strings.HasSuffix(message, "context deadline exceeded") {
		message = "no answer in time"
	}
	if reason, ok := strings.CutPrefix(message, "You are not authorized to perform this operation. "); ok && reason != "" {
		message = reason
	}
	switch failure.Code {
	case "":
		return message
	case "UnknownError": // the SDK's word for an answer without a code
		return "it answered without a reason"
	}
	return failure.Code + ": " + message
}

// checkRegion lists the instances of the autoscaler, the first thing that ebb
// run does. ok is whether EC2 answered; refused is set when it did, and said no.
func (v *visit) checkRegion(ctx context.Context) (refused *messages.Failure, ok bool) {
	limited, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	instances, err := v.prober.Instances(limited)
	region := v.config.AWS.Region
	if err == nil {
		v.fleet = listing{known: true, instances: instances}
		v.ok(AWSRegion, "", "EC2 of %s answers; %d instances of this autoscaler", region, v.fleet.living())
		return nil, true
	}
	failure := messages.FailureOf(err)
	switch {
	case ec2.IsRefused(err):
		v.ok(AWSRegion, "", "EC2 of %s answers", region)
		return failure, true
	case failure.Class == messages.ClassUnauthorized && strings.Contains(failure.Message, otherRegion):
		v.fail(AWSRegion, "", short(failure), "write the region of that endpoint as "+v.awsKey("region"))
	case failure.Class == messages.ClassUnauthorized && v.who.ARN != "":
		v.fail(AWSRegion, "", fmt.Sprintf("EC2 of %s does not take credentials that AWS knows: %s", region, short(failure)),
			fmt.Sprintf("turn the region on for account %s (Account > AWS Regions; aws account enable-region --region-name %s), or write another %s",
				v.who.Account, region, v.awsKey("region")))
	case failure.Class == messages.ClassUnauthorized:
		v.fail(AWSCredentials, "", "EC2 does not take the credentials: "+short(failure), v.credentialsFix())
	default:
		v.fail(AWSRegion, "", fmt.Sprintf("EC2 of %s cannot be asked: %s", region, short(failure)), v.regionFix(ctx, err))
	}
	return nil, false
}

func (v *visit) regionFix(ctx context.Context, err error) string {
	if v.config.AWS.EndpointURL != "" {
		return "check " + v.awsKey("endpoint_url") + " (without it ebb calls AWS's own) and the way there: curl " + v.config.AWS.EndpointURL
	}
	if name, ok := errors.AsType[*net.DNSError](err); ok && name.IsNotFound {
		return "check that there is a region of the name in " + v.awsKey("region") + " (aws ec2 describe-regions), and that this machine can resolve names"
	}
	if late(ctx) {
		return v.options.lateFix()
	}
	return "check the network from this machine to EC2, proxies included: curl https://ec2." + v.config.AWS.Region + ".amazonaws.com/ping"
}
