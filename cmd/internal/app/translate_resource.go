package app

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/actors/decide"
	"github.com/ebbscale/ebb/adapters/bootstrap"
	"github.com/ebbscale/ebb/adapters/ec2"
	"github.com/ebbscale/ebb/cmd/internal/config"
	"github.com/ebbscale/ebb/messages"
)

// translateResource is [Translate] for one resource type. Its errors begin with
// the key, seen from the resource.
func translateResource(a config.Autoscaler, r config.Resource) (Resource, error) {
	offerings, offeringsErr := Offerings(r)
	if r.OnDemandFallback.Enabled {
		offerings = withFallback(offerings)
	}
	spec, specErr := specOf(a, r)
	if err := errors.Join(offeringsErr, specErr); err != nil {
		return Resource{}, err
	}
	script, err := bootstrap.Render(spec)
	if err != nil {
		return Resource{}, err
	}
	price, err := priceOf(r)
	if err != nil {
		return Resource{}, err
	}
	t := Resource{
		PricePerHour: price, Name: messages.ResourceName(r.Name), Max: r.MaxInstances, Offerings: offerings,
		MaxIdleTime: a.IdleTime(r), MaxSpinUpTime: a.SpinUpTime(r), MaxLifetime: a.MaxLifetime,
		Fallback: decide.Fallback{
			Enabled: r.OnDemandFallback.Enabled, Patience: r.OnDemandFallback.Patience, Blackout: r.OnDemandFallback.Blackout,
		},
		Spec: spec, Script: script, Template: template(a, r, script.UserData),
	}
	for _, queue := range r.Queues {
		t.Queues = append(t.Queues, messages.QueueName(queue))
	}
	return t, nil
}

// priceOf is what an hour is said to cost, zero when nothing is said.
func priceOf(r config.Resource) (float64, error) {
	if r.PricePerHour == "" {
		return 0, nil
	}
	usd, err := strconv.ParseFloat(r.PricePerHour, 64)
	if err != nil {
		return 0, fmt.Errorf("price_per_hour: %w", err)
	}
	return usd, nil
}

// withFallback adds the on-demand offerings of the same types in the same places
// behind the spot ones.
func withFallback(spot []messages.Offering) []messages.Offering {
	offerings := slices.Clone(spot)
	for _, offering := range spot {
		offering.Market = messages.OnDemand
		offerings = append(offerings, offering)
	}
	return offerings
}

// specOf is what an instance of the resource type has to know.
func specOf(a config.Autoscaler, r config.Resource) (bootstrap.Spec, error) {
	spec := bootstrap.Spec{
		WorkerPrefix: a.WorkersPrefix, Resource: r.Name, Queues: r.Queues,
		APIServer: a.ClearML.APIServer, WebServer: a.ClearML.WebServer, FilesServer: a.ClearML.FilesServer,
		AccessKey: a.ClearML.AccessKey, SecretKey: a.ClearML.SecretKey.Reveal(), AuthToken: a.ClearML.AuthToken.Reveal(),
		GitUser: a.Git.User, GitPassword: a.Git.Password.Reveal(),
		AgentVersion: a.AgentVersion, InitScript: a.Script(r).Reveal(), ClearMLConf: a.ClearMLConf.Reveal(),
		CPUOnly: r.CPUOnly, ExcludeBashrc: a.ExcludeBashrc,
		Autoscaler: a.Name, MaxIdle: a.IdleTime(r), Unreachable: a.DeadMan.Unreachable,
	}
	// With several types one user data serves them all: the instance asks its
	// metadata service which one it is.
	if len(r.InstanceTypes) == 1 {
		spec.InstanceType = r.InstanceTypes[0]
	}
	if a.DockerMode {
		if a.BaseDockerImage == "" {
			return bootstrap.Spec{}, errors.New("docker_mode is on and base_docker_image is empty: " +
				"write the image that tasks without a container of their own run in, or docker_mode: false")
		}
		spec.DockerImage = a.BaseDockerImage
	}
	return spec, nil
}

func template(a config.Autoscaler, r config.Resource, userData []byte) ec2.Template {
	t := ec2.Template{
		AMI: r.AMIID, KeyPair: r.KeyPair, SecurityGroups: r.SecurityGroups, Tags: r.Tags,
		ProfileARN: a.IAMInstanceProfile.ARN, ProfileName: a.IAMInstanceProfile.Name,
		Monitoring: r.Monitoring, UserData: userData, DockerMode: a.DockerMode,
		SpotMaxPrice: r.SpotMaxPrice, Extra: r.ExtraLaunchParameters,
	}
	if len(r.Queues) > 0 { // the first is the one that the supervisor listens on
		t.Home = messages.QueueName(r.Queues[0])
	}
	for _, v := range r.Volumes {
		deleted := v.DeleteOnTermination
		t.Volumes = append(t.Volumes, ec2.Volume{
			Device: v.Device, SizeGB: v.SizeGB, Type: v.Type, SnapshotID: v.SnapshotID,
			IOPS: v.IOPS, Throughput: v.Throughput, Encrypted: v.Encrypted, DeleteOnTermination: &deleted,
		})
	}
	return t
}

// checkTemplates has the EC2 adapter check what it will be given, so that a
// mistake shows before anything runs.
func checkTemplates(t Translated) error {
	_, err := ec2.New(ec2.Config{
		Autoscaler: t.Name, Client: struct{ ec2.API }{}, Resources: t.Templates(), Log: zerolog.Nop(),
	})
	return err
}
