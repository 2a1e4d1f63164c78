#!/usr/bin/env node
import { enableCompileCache } from "node:module"

// Most of the time of a short command is that of compiling what it is made of.
enableCompileCache()
await import("./program.ts")
