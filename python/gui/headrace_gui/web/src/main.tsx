import { render } from "preact";
import "./styles/base.css";
import "./styles/controls.css";
import { App } from "./app";
import { startTheme } from "./theme";

startTheme();
const root = document.getElementById("app");
if (root) render(<App />, root);
