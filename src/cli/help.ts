import { stripVTControlCharacters } from "node:util"

/** What is said of every flag and every option, and tells nobody anything. */
const noise = ["A true or false value.", "This setting is optional.", "A user-defined piece of text."]

/** The list of commands names each one with all of its options, in columns wider than any terminal. */
const shortened = (line: string): string => {
  const match = /^(\s+- )((?:[a-z][a-z-]* )+)(.*)$/.exec(line)
  if (match === null) return line
  const [, bullet = "", name = "", rest = ""] = match
  return `${bullet}${name.trim().padEnd(20)}  ${rest.split(/\s{2,}/).at(-1)}`
}

/** Help as it is printed: usage with the whole command, and without what repeats itself. */
export const tidy = (text: string, words: ReadonlyArray<string>): string =>
  text
    .split("\n")
    .filter((line) => !noise.includes(stripVTControlCharacters(line).trim()))
    .map((line) =>
      shortened(line).replace(/^\$ (\S+)/, (usage, name: string) =>
        words.includes(name) ? `$ chat-cache ${words.slice(0, words.indexOf(name) + 1).join(" ")}` : usage,
      ),
    )
    .join("\n")
    .replaceAll(/\n(?:\s*\n){2,}/g, "\n\n")
    .trimEnd()
