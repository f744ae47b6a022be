"""From files and flags to composed points: the only part of srtctl that knows Hydra.

`recipe` files and the command line end up in one call of `hydra.main` on `conf/`; our sweeper turns Hydra's answer
into `ComposedPoint`s. Read in this order: `arguments`, `session`, `points`, `fast`; recipes: `yamlfile`, `variants`,
`sweeping`, `recipes`; and `explain` for what users see when composition fails.
"""
