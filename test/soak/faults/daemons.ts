import { daemons, restarted } from "../Fleet.ts"
import { fault } from "./Strike.ts"

export const daemonFaults = [
  fault({
    name: "kill-daemon",
    strikes: "daemon",
    targets: restarted,
    weight: 3,
    strike: ({ fleet }, target) => fleet.kill(target),
    heal: ({ fleet }, target) => fleet.start(target),
  }),
  fault({
    name: "terminate-daemon",
    strikes: "daemon",
    targets: restarted,
    weight: 3,
    strike: ({ fleet }, target) => fleet.terminate(target, true),
    heal: ({ fleet }, target) => fleet.start(target),
  }),
  fault({
    name: "pause-daemon",
    strikes: "daemon",
    targets: daemons,
    longest: 8000,
    strike: ({ fleet }, target) => fleet.signal(target, "SIGSTOP"),
    heal: ({ fleet }, target) => fleet.signal(target, "SIGCONT"),
  }),
]
