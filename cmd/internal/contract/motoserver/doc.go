// Package motoserver runs moto, an independent imitation of AWS, for the contract
// tests. All of it is behind the build tag real.
package motoserver
