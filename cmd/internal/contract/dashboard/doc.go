// Package dashboard has no code: its tests drive the dashboard's page in a real
// browser (Chromium, by playwright-core), against `ebb demo`, against 1,000
// instances in memory, and over TLS. adapters/dashboard/web/browser.mjs says step by step what
// the browser does. EBB_PICTURES=DIR keeps screenshots.
package dashboard
