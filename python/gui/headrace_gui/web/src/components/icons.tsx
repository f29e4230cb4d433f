// Line icons on a grid of 24, ours. A row a picture.
const PATHS = {
  jobs: "M4 6h16M4 12h16M4 18h10",
  datasets: "M4 6c0-4 16-4 16 0v12c0 4-16 4-16 0zM4 6c0 4 16 4 16 0M4 12c0 4 16 4 16 0",
  add: "M12 5v14M5 12h14",
  evaluation: "M4 20V4M4 20h16M8 16l4-6 3 3 5-7",
  cluster: "M4 4h16v6H4zM4 14h16v6H4zM8 7h.01M8 17h.01",
  account: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4 21c0-8 16-8 16 0",
  people:
    "M9 11a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM2 21c0-8 14-8 14 0M16 3a4 4 0 0 1 0 8M18 14c3 1 4 4 4 7",
  map: "M9 4 3 7v13l6-3 6 3 6-3V4l-6 3zM9 4v13M15 7v13",
  close: "M6 6l12 12M18 6 6 18",
  menu: "M4 7h16M4 12h16M4 17h16",
  sun: "M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM12 2v3M12 19v3M2 12h3M19 12h3M5 5l2 2M17 17l2 2M19 5l-2 2M7 17l-2 2",
  moon: "M20 14A8 8 0 1 1 10 4a7 7 0 0 0 10 10z",
  auto: "M12 21a9 9 0 1 0 0-18zM12 21a9 9 0 0 1 0-18",
  search: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM16 16l5 5",
  download: "M12 4v11M7 11l5 5 5-5M4 20h16",
  upload: "M12 16V5M7 9l5-5 5 5M4 20h16",
  out: "M14 4h5v16h-5M3 12h11M10 8l4 4-4 4",
  copy: "M9 9h11v11H9zM15 9V4H4v11h5",
  check: "M5 13l5 5L19 7",
  warning: "M12 4 2 20h20zM12 10v5M12 17.5v.01",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" width="20" height="20" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
