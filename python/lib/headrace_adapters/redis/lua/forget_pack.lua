-- Drops the name of a pack that has left the object store.
-- Arguments: epoch, term; pack (its name).
-- Writes: hr:packs, hr:events, hr:commits.
-- Reply: {'OK', 1}; {'OK', 0} it was dropped already. Refuses TERM, EPOCH, WRONG_TYPE.
-- Invariant: a name in hr:packs is of a pack that is whole in the store, or about to be dropped.
need(args, {term = 'number', pack = 'text'})
check_term('data', args.term)
expect('hr:packs', 'zset')
if problem then return problem end
if redis.call('ZREM', 'hr:packs', args.pack) == 0 then return {'OK', 0} end
hint('kind', 'pack', 'pack', args.pack, 'state', 'GONE')
commit()
return {'OK', 1}
