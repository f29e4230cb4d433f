// What went wrong (or is worth knowing): what and why, then what to do next.
import type { ApiError } from "../api";
import { Icon } from "./icons";

interface NoticeProps {
  error: ApiError;
  onClose?: () => void;
  onRetry?: () => void;
}

export function Notice({ error, onClose, onRetry }: NoticeProps) {
  return (
    <div class="notice bad" role="alert">
      <div>
        <p>{error.detail}</p>
        {error.hint && <p class="hint">Next: {error.hint}</p>}
        <p class="fine">
          {error.code}
          {error.requestId && <> · request {error.requestId}</>}
        </p>
      </div>
      {onRetry && (
        <button type="button" class="button" onClick={onRetry}>
          Try again
        </button>
      )}
      {onClose && (
        <button type="button" class="button icon" aria-label="Close" onClick={onClose}>
          <Icon name="close" />
        </button>
      )}
    </div>
  );
}
