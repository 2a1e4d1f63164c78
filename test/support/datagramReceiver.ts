/** A datagram socket on a path, as systemd has one for notifications. Node has none, so Perl lends its own. */
import { Effect, type Scope } from "effect"
import { spawn, spawnSync } from "node:child_process"

/** Prints what arrives, one line each. Descriptors that come along are closed, which is what senders wait for. */
const program = `
  use Socket;
  $| = 1;
  socket(my $socket, PF_UNIX, SOCK_DGRAM, 0) or die "$!";
  bind($socket, pack_sockaddr_un($ARGV[0])) or die "$!";
  print "bound\\n";
  while (defined recv($socket, my $message, 65536, 0)) { $message =~ s/\\n/ /g; print "$message\\n" }
`

/** Whether this machine has Perl, as nearly every one does. */
export const isAvailable: boolean = spawnSync("perl", ["-MSocket", "-e", "1"]).status === 0

/** Listens until the scope ends. Returns what has arrived so far, in order. */
export const listen = (
  path: string,
): Effect.Effect<Effect.Effect<ReadonlyArray<string>>, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.async<{ readonly stop: () => void; readonly lines: () => ReadonlyArray<string> }>((resume) => {
      const child = spawn("perl", ["-e", program, path], { stdio: ["ignore", "pipe", "inherit"] })
      let output = ""
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        const isFirst = output === ""
        output += text
        if (isFirst) {
          resume(
            Effect.succeed({
              stop: () => child.kill("SIGKILL"),
              lines: () => output.split("\n").slice(1, -1),
            }),
          )
        }
      })
      child.once("error", (error) => resume(Effect.die(error)))
    }),
    ({ stop }) => Effect.sync(stop),
  ).pipe(Effect.map(({ lines }) => Effect.sync(lines)))
