// The rows of the result, as a table for people and as JSON.

export interface Row {
  case: string;
  measure: string;
  value: number;
  unit: string;
  /** The same figure of a peer, taken in the same run. */
  peer?: { name: string; value: number };
  /** A goal of the product: the value itself, or with `ratio` value ÷ peer, must be at most or at least this. */
  goal?: { atMost?: number; atLeast?: number; ratio?: boolean };
  note?: string;
}

const digits = (value: number): string => (value >= 1000 ? Math.round(value).toLocaleString('en-US') : String(Number(value.toPrecision(3))));

export const ratioOf = (row: Row): number | undefined => (row.peer ? row.value / row.peer.value : undefined);

export function isMet(row: Row): boolean | undefined {
  if (!row.goal) return undefined;
  const figure = row.goal.ratio ? ratioOf(row)! : row.value;
  return figure <= (row.goal.atMost ?? Infinity) && figure >= (row.goal.atLeast ?? -Infinity);
}

function goalText({ goal, unit }: Row): string {
  if (!goal) return '';
  const bound = goal.atMost !== undefined ? `≤ ${goal.atMost}` : `≥ ${goal.atLeast}`;
  return goal.ratio ? `${bound}×` : `${bound} ${unit}`;
}

function cells(row: Row): string[] {
  const ratio = ratioOf(row);
  const met = isMet(row);
  return [
    row.note ? `${row.measure} (${row.note})` : row.measure,
    `${digits(row.value)} ${row.unit}`,
    row.peer ? `${row.peer.name}: ${digits(row.peer.value)} ${row.unit}` : '',
    ratio === undefined ? '' : `${digits(ratio)}×`,
    goalText(row),
    met === undefined ? '' : met ? 'yes' : '**no**',
  ];
}

/** A table in Markdown, which also reads well on a terminal. */
export function table(rows: Row[]): string {
  const lines = [['measure', 'hbcloud', 'peer', 'ratio', 'goal', 'met'], ...rows.map(cells)];
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  const text = lines.map((line) => `| ${line.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`);
  text.splice(1, 0, `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`);
  return text.join('\n');
}
