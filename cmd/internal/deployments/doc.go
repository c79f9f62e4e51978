// Package deployments has no code, only the tests of what lies in the folder
// deployments and of the Dockerfile: that the compose files, the unit and the chart
// are hardened as their pages promise, that the configurations in them are sound to
// the program they are for, and that what is said in two places is said the same.
//
// What needs Go alone runs with every other test. What needs Helm, a validator of
// Kubernetes' schemas, hadolint, systemd-analyze or a jail has the build tag real;
// `make deployments` brings these tools and runs both. A missing tool is a failure.
package deployments
