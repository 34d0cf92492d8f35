/* Where hub, spokes and services stand in the picture of the overview. Pure: sizes in, coordinates out. */

export interface Place {
  id: string;
  x: number; // centre
  y: number;
  width: number;
  height: number;
}

export interface Layout {
  width: number;
  height: number;
  hub: Place | null;
  spokes: Place[];
  services: Place[];
  links: { from: Place; to: Place }[];
}

interface Input {
  width: number;
  hubId: string | null;
  spokeIds: string[];
  serviceIds: string[]; // stand around the hub only while there are no spokes
}

const CARD = { width: 192, height: 58 };
const PILL = { width: 156, height: 30 };
export const NARROW = 660;
const GAP = 14;
const MIN_WIDTH = 132; // of a box in the narrow picture

export function layoutTopology({ width, hubId, spokeIds, serviceIds }: Input): Layout {
  const around = spokeIds.length > 0 ? spokeIds : serviceIds;
  const size = spokeIds.length > 0 ? CARD : PILL;
  const { hub, places, height } = width < NARROW ? tree(width, hubId, around, size) : ring(width, hubId, around, size);
  const links = hub ? places.map((to) => ({ from: hub, to })) : [];
  const spokes = spokeIds.length > 0 ? places : [];
  return { width, height, hub, spokes, services: spokeIds.length > 0 ? [] : places, links };
}

type Size = typeof CARD;

/* Wide: the hub in the middle, the others in two columns at its sides, so that nothing ever overlaps. */
function ring(width: number, hubId: string | null, ids: string[], size: Size) {
  const left = ids.filter((_, i) => i % 2 === 0);
  const right = ids.filter((_, i) => i % 2 === 1);
  const row = size.height + GAP;
  const height = Math.max(200, Math.max(left.length, right.length) * row + 2 * GAP);
  const column = (list: string[], side: -1 | 1): Place[] => list.map((id, i) => {
    const offset = i - (list.length - 1) / 2;
    const bend = list.length > 1 ? 1 - Math.abs(offset) / list.length : 1; // the middle ones stand farther out
    const reach = width / 2 - size.width / 2 - 8;
    return { id, x: width / 2 + side * (reach * (0.94 + 0.06 * bend)), y: height / 2 + offset * row, ...size };
  });
  const hub = hubId ? { id: hubId, x: width / 2, y: height / 2, ...CARD } : null;
  return { hub, places: [...column(left, -1), ...column(right, 1)], height };
}

/* Narrow: the hub on top, the others in rows below it. */
function tree(width: number, hubId: string | null, ids: string[], size: Size) {
  const columns = Math.max(1, Math.floor((width + GAP) / (MIN_WIDTH + GAP)));
  const box = { width: Math.min(size.width, (width - (columns - 1) * GAP) / columns), height: size.height };
  const rows = Math.ceil(ids.length / columns);
  const top = CARD.height + 44;
  const places = ids.map((id, i) => {
    const rowIndex = Math.floor(i / columns);
    const inRow = Math.min(columns, ids.length - rowIndex * columns);
    const step = width / inRow;
    return { id, x: step * (i % columns) + step / 2, y: top + rowIndex * (size.height + GAP) + size.height / 2, ...box };
  });
  const hub = hubId ? { id: hubId, x: width / 2, y: CARD.height / 2 + 4, ...CARD } : null;
  return { hub, places, height: ids.length > 0 ? top + rows * (size.height + GAP) : CARD.height + 12 };
}
