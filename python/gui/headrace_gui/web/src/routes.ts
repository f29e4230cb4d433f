// Every page: one row. A page's code is loaded when it is first opened.
import type { ComponentType } from "preact";
import type { Schemas } from "./api";
import type { IconName } from "./components/icons";

export interface PageProps {
  /** What stands in the address for the `:names` of the path. */
  params: Record<string, string>;
}

export interface Route {
  path: string;
  title: string;
  /** Where it stands in the navigation; without: nowhere. `only`: for whom. */
  nav?: { label: string; icon: IconName; only?: Schemas["UserRole"] };
  load: () => Promise<{ default: ComponentType<PageProps> }>;
}

export const ROUTES: readonly Route[] = [
  {
    path: "/jobs",
    title: "Jobs",
    nav: { label: "Jobs", icon: "jobs" },
    load: () => import("./pages/jobs"),
  },
  {
    path: "/new",
    title: "New job",
    nav: { label: "New job", icon: "add" },
    load: () => import("./pages/new-job"),
  },
  {
    path: "/new/ngen",
    title: "A run of NextGen",
    nav: { label: "NextGen run", icon: "map" },
    load: () => import("./pages/new-ngen"),
  },
  { path: "/jobs/:job", title: "Job", load: () => import("./pages/job") },
  {
    path: "/datasets",
    title: "Datasets",
    nav: { label: "Datasets", icon: "datasets" },
    load: () => import("./pages/datasets"),
  },
  { path: "/datasets/new", title: "New dataset", load: () => import("./pages/new-dataset") },
  { path: "/datasets/match", title: "Requirement", load: () => import("./pages/match") },
  { path: "/datasets/:dataset", title: "Dataset", load: () => import("./pages/dataset") },
  {
    path: "/evaluation",
    title: "Evaluation",
    nav: { label: "Evaluation", icon: "evaluation" },
    load: () => import("./pages/evaluation"),
  },
  {
    path: "/evaluation/:id",
    title: "Evaluation",
    load: () => import("./pages/evaluation-result"),
  },
  { path: "/calibration/:id", title: "Calibration", load: () => import("./pages/calibration") },
  {
    path: "/cluster",
    title: "Cluster",
    nav: { label: "Cluster", icon: "cluster" },
    load: () => import("./pages/cluster"),
  },
  {
    path: "/people",
    title: "People",
    nav: { label: "People", icon: "people", only: "admin" },
    load: () => import("./pages/people"),
  },
  {
    path: "/account",
    title: "Account",
    nav: { label: "Account", icon: "account" },
    load: () => import("./pages/account"),
  },
];

/** Where `/` leads to. */
export const HOME = "/jobs";
