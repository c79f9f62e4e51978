// Package wizard is the questionnaire that ends in a configuration file, without any
// user interface: `ebb init` asks it in a terminal, and a web page may do the same.
//
//	Steps     the questions in order: labels, help, defaults, choices, conditions
//	Answers   what was answered, by the path of the key: a map for JSON
//	Check     what is wrong with answers, each with its path
//	Write     the answers as a commented YAML file
//	FromFile, Import   answers out of a configuration that exists
//
// Whatever a file has that the wizard does not ask stays among the answers and comes
// out again. Answers are in the words of a file: ${ENV:NAME} is text here, and
// nothing in this package reads the environment or a file.
package wizard
