"""What a chaos run leaves to read: report.txt, report.json and timeline.svg."""

import html
import json
import os

COLOURS = {"kill": "#c0392b", "pause": "#d68910", "partition": "#7d3c98", "disk": "#784212",
           "controller": "#922b21", "reassign": "#1f618d", "membership": "#117864",
           "upgrade": "#566573"}
ANOMALIES = ("lost", "duplicated", "reordered", "diverged", "inconsistent", "corrupt", "unread")


def counts(verdict):
    return {name: verdict["anomalies"][name]["count"] for name in ANOMALIES}


def summary_line(result):
    found = result["anomalies"]
    verdict = result["verdict"]
    return (f"acked={verdict['acknowledged']} lost={found['lost']} dup={found['duplicated']} "
            f"reordered={found['reordered']} diverged={found['diverged']} "
            f"faults={len(result['faults'])} "
            f"max_produce_gap_ms={verdict['timeline']['max_produce_gap_ms']} "
            f"p99_produce_gap_ms={verdict['timeline']['p99_produce_gap_ms']} "
            f"inconsistent={found['inconsistent']} corrupt={found['corrupt']} "
            f"unread={found['unread']} unhealthy={len(result['problems'])} "
            f"given_up={verdict['given_up']}")


def text_report(result):
    verdict = result["verdict"]
    lines = [result["command"], "", result["summary"], ""]
    lines += [f"left out: {kind}: {why}" for kind, why in result["left_out"].items()]
    lines += [f"problem: {problem}" for problem in result["problems"]]
    for name in ANOMALIES:
        lines += [f"{name}: {example}" for example in verdict["anomalies"][name]["examples"]]
    replicas = verdict["replicas"]
    lines += ["", f"{verdict['attempted']} records sent, {verdict['acknowledged']} acknowledged, "
              f"{verdict['given_up']} given up; {verdict['read_following']} read while they came, "
              f"{verdict['read_at_the_end']} at the end",
              f"{replicas['partitions']} partitions compared, {replicas['batches']} batches, "
              f"{replicas['bytes']} bytes in each copy", "",
              "  second  whole after  gap ms  fault"]
    for fault in verdict["timeline"]["faults"]:
        whole = (f"{(fault['end_ms'] - fault['begin_ms']) / 1000:.1f} s" if fault["end_ms"] >= 0
                 else "never")
        lines.append(f"{fault['begin_ms'] / 1000:8.1f}  {whole:>11}  {fault['gap_ms']:6}  "
                     f"{fault['text']}")
    return "\n".join(lines) + "\n"


def ceiling(value):
    """A round number that is not below."""
    step = 1
    while step * 10 < value:
        step *= 10
    return next(step * factor for factor in (1, 2, 5, 10) if step * factor >= value)


class Drawing:
    """Throughput over time, each fault a band behind it."""

    WIDTH, HEIGHT, LEFT, TOP, LANES = 1400, 300, 60, 40, 8

    def __init__(self, result):
        self.result = result
        self.timeline = result["verdict"]["timeline"]
        self.seconds = self.timeline["seconds"]
        self.length = max(1, len(self.seconds))
        self.top_rate = ceiling(max([1] + [max(row) for row in self.seconds]))
        self.out = []

    def x(self, ms):
        return self.LEFT + ms / 1000 / self.length * self.WIDTH

    def y(self, rate):
        return self.TOP + self.HEIGHT * (1 - rate / self.top_rate)

    def text(self, x, y, words, extra=""):
        self.out.append(f'<text x="{x:.1f}" y="{y:.1f}" {extra}>{html.escape(words)}</text>')

    def axes(self):
        for part in range(5):
            rate = self.top_rate * part / 4
            y = self.y(rate)
            self.out.append(f'<line x1="{self.LEFT}" x2="{self.LEFT + self.WIDTH}" y1="{y:.1f}" '
                            f'y2="{y:.1f}" stroke="#ddd"/>')
            self.text(self.LEFT - 6, y + 4, f"{rate:g}", 'text-anchor="end"')
        step = max(1, ceiling(self.length / 12))
        for second in range(0, self.length + 1, step):
            x = self.x(second * 1000)
            self.out.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{self.TOP}" '
                            f'y2="{self.TOP + self.HEIGHT}" stroke="#eee"/>')
            self.text(x, self.TOP + self.HEIGHT + 14, f"{second} s", 'text-anchor="middle"')

    def line(self, column, colour, extra=""):
        points = " ".join(f"{self.x(i * 1000 + 500):.1f},{self.y(row[column]):.1f}"
                          for i, row in enumerate(self.seconds))
        self.out.append(f'<polyline points="{points}" fill="none" stroke="{colour}" {extra}/>')

    def faults(self):
        """Bands over the plot, and their words in lanes below it."""
        lane_end = [0.0] * self.LANES
        for fault in self.timeline["faults"]:
            end_ms = fault["end_ms"] if fault["end_ms"] >= 0 else self.length * 1000
            x = self.x(fault["begin_ms"])
            width = max(1.5, self.x(end_ms) - x)
            kind = self.result["faults"].get(str(fault["fault"]), {}).get("kind", "")
            colour = COLOURS.get(kind, "#555")
            outcome = fault["outcome"] or "never whole"
            title = f"{fault['text']}; gap {fault['gap_ms']} ms; {outcome}"
            self.out.append(f'<rect x="{x:.1f}" y="{self.TOP}" width="{width:.1f}" '
                            f'height="{self.HEIGHT}" fill="{colour}" fill-opacity="0.18">'
                            f"<title>{html.escape(title)}</title></rect>")
            lane = min(range(self.LANES), key=lambda i: (lane_end[i] > x, lane_end[i] if
                                                         lane_end[i] > x else i))
            words = f"{kind} {fault['gap_ms']} ms"
            if lane_end[lane] <= x:
                lane_end[lane] = x + 6 * len(words)
                self.text(x, self.TOP + self.HEIGHT + 32 + 13 * lane, words,
                          f'fill="{colour}" font-size="10"')

    def render(self):
        height = self.TOP + self.HEIGHT + 40 + 13 * self.LANES
        self.axes()
        self.faults()
        self.line(0, "#aaa", 'stroke-dasharray="3 2"')
        self.line(2, "#2874a6", 'stroke-width="1"')
        self.line(1, "#1e8449", 'stroke-width="1.6"')
        self.text(self.LEFT, 16, self.result["summary"], 'font-size="12"')
        self.text(self.LEFT, 31, "records a second: green acknowledged, blue read, grey sent; "
                                 "bands: from each fault until the cluster was whole; numbers: "
                                 "longest gap of a partition", 'fill="#555"')
        return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.LEFT + self.WIDTH + 30}" '
                f'height="{height}" font-family="sans-serif" font-size="11">\n'
                '<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(self.out)
                + "\n</svg>\n")


def write(folder, result):
    with open(os.path.join(folder, "report.json"), "w", encoding="utf-8") as out:
        json.dump(result, out, indent=1)
        out.write("\n")
    with open(os.path.join(folder, "report.txt"), "w", encoding="utf-8") as out:
        out.write(text_report(result))
    with open(os.path.join(folder, "timeline.svg"), "w", encoding="utf-8") as out:
        out.write(Drawing(result).render())
