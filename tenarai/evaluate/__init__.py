"""Champion and challenger: what they read, who is better, and who reads from now on.

predictions  which model reads, and what it reads; remembered, so that a quiet night loads none
holdout      which images are evidence for whom
compare      both on the same images, the regression set, and everything the report shows of it
regression   the images that were misread, and their stories over the nights
suspects     files that their owner should look at
gate         the rule: promote or keep
promotions   the history of champions: promoting and rolling back
champions    everyone who was champion, and what differs between two: `models`, `rollback`, `promote`, `why`
inbox        unlabelled images, the ones that are worth most when they are filed first
read         image files, for `tenarai read`
"""
