// A modal dialog: the browser's own element keeps the focus inside and gives it back.
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { Icon } from "./icons";

interface DialogProps {
  title: string;
  children: ComponentChildren;
  /** Without it the dialog can't be closed by Escape or its cross. */
  onClose?: () => void;
}

export function Dialog({ title, children, onClose }: DialogProps) {
  const shown = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useEffect(() => {
    const dialog = shown.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog
      ref={shown}
      class="dialog"
      aria-labelledby={heading}
      onCancel={(event) => {
        event.preventDefault();
        onClose?.();
      }}
    >
      <div class="dialog-head">
        <h2 id={heading}>{title}</h2>
        {onClose && (
          <button type="button" class="button icon" aria-label="Close" onClick={onClose}>
            <Icon name="close" />
          </button>
        )}
      </div>
      {children}
    </dialog>
  );
}
