-- The read model (headrace_adapters/sqlite/model.py). A changed shape gets another VERSION there,
-- and files of the older one are made anew: nothing here is the only copy of anything.

CREATE TABLE notes(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- Kinds, owners, statuses and keys of readers, each kept once.
CREATE TABLE words(n INTEGER PRIMARY KEY, word TEXT NOT NULL UNIQUE);

-- Packs of archived jobs; `read` is 0 while the jobs of one are still to be taken from it.
CREATE TABLE packs(n INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, read INTEGER NOT NULL);

-- `pack` and `fields` (JSON) are null while the job is live, that is, while Redis holds it.
CREATE TABLE jobs(
  n INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  kind INTEGER NOT NULL,
  owner INTEGER NOT NULL,
  status INTEGER NOT NULL,
  entered_ms INTEGER NOT NULL,
  shared TEXT NOT NULL,
  pack INTEGER,
  fields TEXT
);
CREATE INDEX jobs_of_pack ON jobs(pack);

-- Where each job stands in the lists of those who may see it: one row for each key of a reader
-- (headrace_model/visible.py), and one under '*' for those who see everything.
CREATE TABLE places(
  reader INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  status INTEGER NOT NULL,
  entered_ms INTEGER NOT NULL,
  id TEXT NOT NULL,
  PRIMARY KEY (reader, kind, status, entered_ms, id)
) WITHOUT ROWID;

-- Which jobs took a dataset: the way forward in a lineage. Jobs know the way back themselves.
CREATE TABLE uses(
  dataset TEXT NOT NULL,
  job INTEGER NOT NULL,
  PRIMARY KEY (dataset, job)
) WITHOUT ROWID;
CREATE INDEX uses_of_job ON uses(job);

-- Name and id of each job by its runs of three characters.
CREATE VIRTUAL TABLE texts USING fts5(text, content = '', tokenize = 'trigram', detail = 'none');
