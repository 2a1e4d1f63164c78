/** How a figure is written: whole where it is large, with as many digits as say something where it is small. */
export const format = (value: number): string => {
  const magnitude = Math.abs(value)
  const digits = magnitude >= 100 ? 0 : magnitude >= 10 ? 1 : 2
  return new Intl.NumberFormat("en-US", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  }).format(value)
}

export const formatOrNothing = (value: number | null): string => (value === null ? "–" : format(value))
