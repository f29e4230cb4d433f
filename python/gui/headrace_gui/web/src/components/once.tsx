// A secret that is shown this once: to be copied now.
import { useRef, useState } from "preact/hooks";
import { Dialog } from "./dialog";
import { Icon } from "./icons";

interface OnceProps {
  title: string;
  /** What it is, as the label of the field. */
  label: string;
  secret: string;
  about: string;
  onClose: () => void;
}

export function Once({ title, label, secret, about, onClose }: OnceProps) {
  const field = useRef<HTMLInputElement>(null);
  const [told, setTold] = useState("");
  const copy = async () => {
    field.current?.select();
    try {
      await navigator.clipboard.writeText(secret);
      setTold("Copied.");
    } catch {
      // Not allowed, or the page came without TLS from another machine.
      setTold("The browser lets nothing be copied here: it is marked, press Ctrl+C.");
    }
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <div class="form">
        <div class="notice">
          <p>{about} It is shown this once, and can't be read again later.</p>
        </div>
        <label class="field">
          <span>{label}</span>
          <input ref={field} class="mono" readOnly spellcheck={false} value={secret} />
        </label>
        <div class="row">
          <button type="button" class="button primary" onClick={() => void copy()}>
            <Icon name="copy" /> Copy
          </button>
          <button type="button" class="button" onClick={onClose}>
            I have it
          </button>
          <span role="status">{told}</span>
        </div>
      </div>
    </Dialog>
  );
}
