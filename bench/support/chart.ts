import { parse, View } from "vega"
import { compile, type TopLevelSpec } from "vega-lite"
import { format } from "./figures.ts"
import type { ContestantResult, QuestionResult } from "./Result.ts"

const labelOf = ({ median, baseline, ratio }: ContestantResult): string =>
  baseline === null ? format(median) : `${format(median)} (× ${ratio.toFixed(2)})`

/** Beside the longest bar stands its figure. */
const spaceForLabels = 1.3

/** A bar for each median with its figure, and a line from the least figure to the greatest. */
const specOf = ({ asks, unit, better, contestants }: QuestionResult): TopLevelSpec => {
  const isBaseline = ({ name }: ContestantResult) => contestants.some(({ baseline }) => baseline === name)
  const greatest = Math.max(...contestants.map(({ maximum }) => maximum))
  return {
    title: {
      text: asks,
      subtitle: [
        `${unit}, ${better} is better: median, and a line from minimum to maximum`,
        ...(contestants.some(isBaseline) ? ["grey: what others are compared with, × their ratio to it"] : []),
      ],
      anchor: "start",
      offset: 12,
    },
    background: "white",
    padding: 8,
    width: 520,
    height: { step: 28 },
    data: {
      values: contestants.map((contestant) => ({
        name: contestant.name,
        median: contestant.median,
        minimum: contestant.minimum,
        maximum: contestant.maximum,
        label: labelOf(contestant),
        color: isBaseline(contestant) ? "#9a9a9a" : "#4c78a8",
      })),
    },
    encoding: {
      y: {
        field: "name",
        type: "nominal",
        sort: null,
        title: null,
        axis: { labelLimit: 600, labelFontSize: 12 },
      },
    },
    layer: [
      {
        mark: { type: "bar", height: { band: 0.65 } },
        encoding: {
          x: {
            field: "median",
            type: "quantitative",
            title: unit,
            axis: { tickCount: 6 },
            scale: greatest > 0 ? { domainMax: greatest * spaceForLabels } : {},
          },
          color: { field: "color", type: "nominal", scale: null },
        },
      },
      {
        mark: { type: "rule", color: "#222222", strokeWidth: 2 },
        encoding: { x: { field: "minimum", type: "quantitative" }, x2: { field: "maximum" } },
      },
      {
        mark: { type: "text", align: "left", dx: 6, fontSize: 12, color: "#222222" },
        encoding: {
          x: { field: "maximum", type: "quantitative" },
          text: { field: "label", type: "nominal" },
        },
      },
    ],
  }
}

/** The chart as SVG, made without a browser. */
export const svgOf = async (result: QuestionResult): Promise<string> => {
  const view = new View(parse(compile(specOf(result)).spec), { renderer: "none" })
  try {
    return await view.toSVG()
  } finally {
    view.finalize()
  }
}
