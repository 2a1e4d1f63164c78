#!/usr/bin/env node
import { enableCompileCache } from "node:module"

// Most of the time of a short command is that of compiling what it is made of.
enableCompileCache()

const [command, ...rest] = process.argv.slice(2)

// The daemon needs nothing of what reads a command line, and with it would take half as long again to start.
if (command === "serve" && rest.length === 0) (await import("../DaemonProcess.ts")).run()
else await import("./program.ts")
