package config

import (
	"maps"
	"slices"
)

// launchFields are the fields of EC2's RunInstances.
func launchFields() []string {
	return []string{
		"AdditionalInfo", "BlockDeviceMappings", "CapacityReservationSpecification", "ClientToken", "CpuOptions",
		"CreditSpecification", "DisableApiStop", "DisableApiTermination", "DryRun", "EbsOptimized",
		"ElasticGpuSpecification", "ElasticInferenceAccelerators", "EnablePrimaryIpv6", "EnclaveOptions",
		"HibernationOptions", "IamInstanceProfile", "ImageId", "InstanceInitiatedShutdownBehavior",
		"InstanceMarketOptions", "InstanceType", "Ipv6AddressCount", "Ipv6Addresses", "KernelId", "KeyName",
		"LaunchTemplate", "LicenseSpecifications", "MaintenanceOptions", "MaxCount", "MetadataOptions", "MinCount",
		"Monitoring", "NetworkInterfaces", "NetworkPerformanceOptions", "Operator", "Placement",
		"PrivateDnsNameOptions", "PrivateIpAddress", "RamdiskId", "SecondaryInterfaces", "SecurityGroupIds",
		"SecurityGroups", "SubnetId", "TagSpecifications", "UserData",
	}
}

// ownedLaunchFields are the fields that an operator cannot set past ebb, with the
// reason and what to do instead.
func ownedLaunchFields() map[string][2]string {
	return map[string][2]string{
		"ClientToken":                       {"makes a launch happen once however often it is sent, which only ebb can compute", "remove it"},
		"MinCount":                          {"is how many instances ebb decided to launch", "remove it; max_instances is the limit"},
		"MaxCount":                          {"is how many instances ebb decided to launch", "remove it; max_instances is the limit"},
		"UserData":                          {"carries the script that starts the agent", "write init_script"},
		"TagSpecifications":                 {"carries the tags by which ebb finds its instances again", "write tags"},
		"InstanceType":                      {"is chosen by ebb by capacity", "write instance_types"},
		"InstanceMarketOptions":             {"is chosen by ebb by capacity", "write market and spot_max_price"},
		"SubnetId":                          {"is chosen by ebb by capacity", "write subnets"},
		"ImageId":                           {"has a key of its own", "write ami_id"},
		"InstanceInitiatedShutdownBehavior": {"must be terminate: an instance whose autoscaler is gone ends itself by shutting down", "remove it"},
		"DisableApiTermination":             {"would keep ebb from terminating the instance", "remove it"},
		"DryRun":                            {"would make every launch fail", "remove it"},
	}
}

func (c *checker) launchParameters(path string, parameters map[string]any) {
	owned := ownedLaunchFields()
	for _, field := range slices.Sorted(maps.Keys(parameters)) {
		p := child(path, field)
		if reason, isOwned := owned[field]; isOwned {
			c.add(p, reason[0], reason[1])
			continue
		}
		if slices.Contains(launchFields(), field) {
			continue
		}
		fix := "write a field as RunInstances names it, such as EbsOptimized"
		if near := nearest(field, launchFields()); near != "" {
			fix = "did you mean " + near + "?"
		}
		c.add(p, "is not a field of RunInstances", fix)
	}
	if placement, ok := parameters["Placement"].(map[string]any); ok && placement["AvailabilityZone"] != nil {
		c.add(child(path, "Placement.AvailabilityZone"), "is chosen by ebb by capacity", "write availability_zones")
	}
}
