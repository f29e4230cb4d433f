import { render } from "preact";
import "./styles/base.css";
import "./styles/controls.css";
import { App } from "./app";
import { matched } from "./router";
import { HOME, ROUTES } from "./routes";
import { startTheme } from "./theme";

startTheme();
// The page's code comes while the session is asked for. What fails is said where it is shown.
const path = location.pathname === "/" ? HOME : location.pathname;
void ROUTES.find((route) => matched(route.path, path))
  ?.load()
  .catch(() => undefined);
const root = document.getElementById("app");
if (root) render(<App />, root);
